import type { lookup } from 'node:dns';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import request from 'supertest';

import { documentUrlFault } from '../../lib/clients/document-url';
import { createDocumentReader } from '../../lib/clients/metadata-document';
import { RefusedExchange } from '../../lib/http/outbound';
import {
  answerOf,
  authorize,
  CALLBACK,
  makeHost,
  pkce,
  VARIANTS,
  type Host,
  type HostOptions,
} from '../support/host';
import { assertion, ASSERTION_TYPE, clientKey, type ClientKey } from '../support/jose';

describe('the URL of a metadata document (draft-ietf-oauth-client-id-metadata-document §3)', () => {
  it.each([
    'https://client.example/client.json',
    'https://client.example:8443/a/b',
    'https://xn--bcher-kva.example/client',
    'https://client.example/a%20b',
  ])('may be %s', (url) => {
    expect(documentUrlFault(url, { allowHttp: false })).toBeUndefined();
  });

  it.each([
    'http://client.example/client.json',
    'http://localhost/client.json',
    'https://client.example',
    'https://client.example/',
    'https://user@client.example/c',
    'https://user:pass@client.example/c',
    'https://@client.example/c',
    'https://client.example/c#f',
    'https://client.example/c#',
    'https://client.example/c?a=b',
    'https://client.example/c?',
    'https://client.example/./c',
    'https://client.example/a/../c',
    'https://client.example/%2e%2e/c',
    'https://client.example/a/%2E/c',
    'https://client.example:443/c',
    'https://Client.example/c',
    'HTTPS://client.example/c',
    'https://client.example\\c',
    'https:client.example/c',
    'https:///client.example/c',
    'https://client.example/c ',
    ' https://client.example/c',
    'https://client.example/\tc',
    'https://bücher.example/c',
    'https://127.0.0.1/c',
    'https://8.8.8.8/c',
    'https://[::1]/c',
    'https://0x7f.1/c',
    'ftp://client.example/c',
    'urn:example:client',
  ])('must not be %j', (url) => {
    expect(documentUrlFault(url, { allowHttp: false })).toBeDefined();
  });

  it('may be http on loopback in development', () => {
    expect(documentUrlFault('http://localhost:4000/c', { allowHttp: true })).toBeUndefined();
    expect(documentUrlFault('http://client.example/c', { allowHttp: true })).toBeDefined();
  });
});

it('the address that counts is that of the connection: a name cannot change it after the check', async () => {
  let connections = 0;
  const server = createServer().on('connection', (socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const looked: string[] = [];
  const answers = ['93.184.216.34', '127.0.0.1'];
  const documents = createDocumentReader({
    clients: undefined as never,
    scope: [],
    outbound: {
      allowPrivateAddresses: false,
      // The first look-up is public; the one that a second connection makes is not.
      lookup: ((hostname: string, _options: unknown, done: (error: null, found: object[]) => void) => {
        looked.push(hostname);
        done(null, [{ address: answers.shift(), family: 4 }]);
      }) as unknown as typeof lookup,
    },
    clock: Date.now,
  });
  const url = `https://rebinding.example:${port}/client.json`;
  // Whatever is at the public address: it is not our server.
  await documents.read(url).catch(() => undefined);
  await expect(documents.read(url)).rejects.toThrow(RefusedExchange);
  expect([looked, connections]).toEqual([['rebinding.example', 'rebinding.example'], 0]);
  await new Promise((resolve) => server.close(resolve));
}, 20_000);

type Answer = (req: IncomingMessage, res: ServerResponse) => void;

describe.each(VARIANTS)('clients with a metadata document, on $store at the $mount', (variant) => {
  let server: Server;
  let origin: string;
  let answer: Answer;
  let requests: string[];
  let host: Host;
  let url: string;

  beforeEach(async () => {
    requests = [];
    server = createServer((req, res) => {
      requests.push(req.url ?? '');
      answer(req, res);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://localhost:${(server.address() as AddressInfo).port}`;
    url = `${origin}/client.json`;
    answer = json(documentOf());
    host = documentHost();
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const documentHost = (options: HostOptions = {}): Host =>
    makeHost(variant, { metadataDocuments: true, allowPrivateAddresses: true, ...options });

  const documentOf = (more: object = {}): object => ({
    client_id: url,
    client_name: 'Document client',
    redirect_uris: [CALLBACK, 'http://localhost/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    ...more,
  });

  function json(body: unknown, headers: Record<string, string> = {}, status = 200): Answer {
    return (_req, res) => {
      res.writeHead(status, { 'Content-Type': 'application/json', ...headers });
      res.end(typeof body === 'string' ? body : JSON.stringify(body));
    };
  }

  const form = (more: Record<string, string> = {}, pair = pkce()): Record<string, string> => ({
    response_type: 'code',
    client_id: url,
    redirect_uri: CALLBACK,
    code_challenge: pair.challenge,
    code_challenge_method: 'S256',
    state: 'xyz',
    scope: 'orders:read',
    ...more,
  });

  const page = async (more: Record<string, string> = {}, own = host): Promise<request.Response> =>
    authorize(own, form(more)).set('Accept', 'text/html');

  /** Gets a code by way of the consent page. */
  async function allowed(
    more: Record<string, string> = {},
    own = host,
  ): Promise<{ code: string; verifier: string }> {
    const pair = pkce();
    const shown = await authorize(own, form(more, pair)).set('Accept', 'text/html');
    const sealed = /name="request" value="([^"]+)"/.exec(shown.text)?.[1] ?? shown.text;
    const response = await request(own.app)
      .post(`${own.base}/consent`)
      .type('form')
      .send({ request: sealed, decision: 'allow' });
    return { code: answerOf(response).code!, verifier: pair.verifier };
  }

  const token = (body: Record<string, string>, own = host): request.Test =>
    request(own.app)
      .post(`${own.base}/token`)
      .type('form')
      .send({ client_id: url, ...body });

  const redeem = (
    { code, verifier }: { code: string; verifier: string },
    more: Record<string, string> = {},
    own = host,
  ): request.Test =>
    token(
      { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK, ...more },
      own,
    );

  async function tokens(): Promise<{ access_token: string; refresh_token: string }> {
    const { status, body } = await redeem(await allowed());
    expect(status).toBe(200);
    return body as { access_token: string; refresh_token: string };
  }

  const refresh = (refreshToken: string): request.Test =>
    token({ grant_type: 'refresh_token', refresh_token: refreshToken });

  it('sign in, get tokens and refresh them', async () => {
    const { access_token: accessToken, refresh_token: refreshToken } = await tokens();
    expect(accessToken).toBeTruthy();
    expect((await refresh(refreshToken)).status).toBe(200);
    expect(requests).toEqual(['/client.json']);
  });

  it('are advertised, and off unless they are switched on', async () => {
    const path = '/.well-known/oauth-authorization-server';
    const { body } = await request(host.app).get(path + host.base);
    expect(body).toMatchObject({ client_id_metadata_document_supported: true });
    const off = makeHost(variant);
    expect((await request(off.app).get(path + off.base)).body).not.toHaveProperty(
      'client_id_metadata_document_supported',
    );
    expect((await page({}, off)).status).toBe(400);
    expect(requests).toEqual([]);
  });

  it('a public address is needed, unless private ones are allowed', async () => {
    const own = documentHost({ allowPrivateAddresses: false });
    expect((await page({}, own)).status).toBe(400);
    expect(requests).toEqual([]);
    expect(own.events).toContainEqual(
      expect.objectContaining({
        name: 'metadata_document.refused',
        event: expect.objectContaining({ clientId: url }),
      }),
    );
  });

  it('the port of a loopback redirect URI is free', async () => {
    const redirect = 'http://localhost:51763/callback';
    const code = await allowed({ redirect_uri: redirect });
    expect((await redeem(code, { redirect_uri: redirect })).status).toBe(200);
    expect((await page({ redirect_uri: 'http://127.0.0.1:51763/callback' })).status).toBe(400);
    expect((await page({ redirect_uri: 'http://localhost:51763/other' })).status).toBe(400);
    answer = json(documentOf({ redirect_uris: ['http://localhost:3118/callback'] }));
    host.pass(3601);
    for (const port of [3118, 51763])
      expect((await page({ redirect_uri: `http://localhost:${port}/callback` })).status).toBe(200);
  });

  describe('the document', () => {
    const refused = async (
      given: Answer,
    ): Promise<{ status: number; location: unknown; names: string[]; text: string }> => {
      answer = given;
      const { status, headers, text } = await page();
      return { status, location: headers.location, names: host.eventNames(), text };
    };

    it.each<[string, () => Answer]>([
      ['redirects', () => json('', { Location: 'https://evil.example/client.json' }, 302)],
      ['is missing', () => json({}, {}, 404)],
      ['has another status', () => json(documentOf(), {}, 201)],
      ['is too large', () => json({ ...documentOf(), padding: 'x'.repeat(6000) })],
      ['is another client’s', () => json(documentOf({ client_id: `${origin}/other.json` }))],
      ['names another text for its URL', () => json(documentOf({ client_id: `${url}/` }))],
      ['has no client_id', () => json(documentOf({ client_id: undefined }))],
      ['has a list as client_id', () => json(documentOf({ client_id: [url] }))],
      ['is not JSON', () => json('<html>')],
      ['is a list', () => json([documentOf()])],
      ['is HTML', () => json(documentOf(), { 'Content-Type': 'text/html' })],
      ['has a secret', () => json(documentOf({ client_secret: 'x'.repeat(40) }))],
      ['has a secret that expires', () => json(documentOf({ client_secret_expires_at: 0 }))],
      [
        'has a method with a secret',
        () => json(documentOf({ token_endpoint_auth_method: 'client_secret_post' })),
      ],
      [
        'has a key-less private_key_jwt',
        () => json(documentOf({ token_endpoint_auth_method: 'private_key_jwt' })),
      ],
      ['has no redirect URIs', () => json(documentOf({ redirect_uris: [] }))],
      [
        'has a redirect URI that runs script',
        () => json(documentOf({ redirect_uris: ['javascript:alert(1)'] })),
      ],
      ['has http redirect URIs', () => json(documentOf({ redirect_uris: 'https://a.example/cb' }))],
      ['is for client credentials only', () => json(documentOf({ grant_types: ['client_credentials'] }))],
      ['has a name with direction characters', () => json(documentOf({ client_name: 'good\u202Elive' }))],
      ['has a name with line breaks', () => json(documentOf({ client_name: 'good\nbad' }))],
      ['has a name that is no text', () => json(documentOf({ client_name: { $ne: '' } }))],
    ])('that %s is refused, and nothing is redirected', async (_what, make) => {
      const { status, location, names, text } = await refused(make());
      expect([status, location]).toEqual([400, undefined]);
      expect(names).toContain('metadata_document.refused');
      expect(text).toContain('<h1>');
    });

    it.each<[string, () => Answer]>([
      ['fails', () => json({}, {}, 500)],
      [
        'is slow',
        () => (_req, res) => void res.writeHead(200, { 'Content-Type': 'application/json' }).write(' '),
      ],
      ['breaks off', () => (req) => req.socket.destroy()],
    ])(
      'whose server %s is an outage, and no reason to forget the client',
      async (_what, make) => {
        const { refresh_token: refreshToken } = await tokens();
        host.pass(3601);
        answer = make();
        // It was fetched an hour ago: users are not signed out because the server of an app is down.
        expect((await refresh(refreshToken)).status).toBe(200);
        const fresh = documentHost({ adapter: host.adapter, clock: () => host.now });
        const { body: again } = await token(
          { grant_type: 'refresh_token', refresh_token: refreshToken },
          fresh,
        );
        expect(again.error).toBe('temporarily_unavailable');
        expect((await page({}, fresh)).status).toBe(503);
      },
      60_000,
    );

    it('that is gone ends the client: 401 at the token endpoint, a page at authorize', async () => {
      const { refresh_token: refreshToken } = await tokens();
      host.pass(3601);
      answer = json({}, {}, 404);
      const { status, body } = await refresh(refreshToken);
      expect([status, body.error]).toEqual([401, 'invalid_client']);
      const shown = await page();
      expect([shown.status, shown.text.includes('The client is unknown')]).toEqual([400, true]);
    });

    it('is kept as its headers say, within bounds', async () => {
      const fetches = async (headers: Record<string, string>, seconds: number): Promise<number> => {
        const own = documentHost();
        answer = json(documentOf(), headers);
        await page({}, own);
        const before = requests.length;
        own.pass(seconds);
        await page({}, own);
        return requests.length - before;
      };
      expect(await fetches({ 'Cache-Control': 'max-age=600' }, 590)).toBe(0);
      expect(await fetches({ 'Cache-Control': 'max-age=600' }, 610)).toBe(1);
      expect(await fetches({ 'Cache-Control': 'max-age=600', Age: '500' }, 110)).toBe(1);
      expect(await fetches({ 'Cache-Control': 'no-store' }, 50)).toBe(0);
      expect(await fetches({ 'Cache-Control': 'no-store' }, 61)).toBe(1);
      expect(await fetches({ 'Cache-Control': 'public, max-age=99999999' }, 3590)).toBe(0);
      expect(await fetches({ 'Cache-Control': 'public, max-age=99999999' }, 3601)).toBe(1);
      expect(await fetches({}, 290)).toBe(0);
      expect(await fetches({}, 310)).toBe(1);
    });

    it('that is stale is good enough while its server hangs, also for the API of the host', async () => {
      const api = documentHost({ adapter: host.adapter, clock: () => host.now });
      const { access_token: accessToken } = await tokens();
      host.pass(3_500);
      answer = () => undefined;
      requests = [];
      // Another process, which has never seen the document: it needs only to know whether the token is good.
      const verified = await api.oauth.verifyToken(accessToken, { checkRevocation: true });
      expect([verified.clientId, requests]).toEqual([url, []]);

      host.pass(200);
      const started = performance.now();
      expect((await page()).status).toBe(200);
      expect(performance.now() - started).toBeLessThan(3000);
      server.closeAllConnections();
      await new Promise((resolve) => setTimeout(resolve, 50));
      // The pause after a failure: nobody waits again.
      const again = performance.now();
      expect((await page()).status).toBe(200);
      expect([performance.now() - again < 900, requests.length]).toEqual([true, 1]);
    }, 20_000);

    it('of a client in use is kept, however many strangers publish', async () => {
      const { refresh_token: refreshToken } = await tokens();
      answer = (req, res) => json({ ...documentOf(), client_id: origin + (req.url ?? '') })(req, res);
      for (let part = 0; part < 55; part++)
        await Promise.all(
          Array.from({ length: 20 }, (_, number) => {
            const clientId = `${origin}/${part}-${number}`;
            return authorize(host, form({ client_id: clientId })).set('Accept', 'text/html');
          }),
        );
      host.pass(3601);
      answer = (req) => req.socket.destroy();
      expect((await refresh(refreshToken)).status).toBe(200);
    }, 60_000);

    it('that changes its redirect URIs has changed the client', async () => {
      expect((await page()).status).toBe(200);
      answer = json(documentOf({ redirect_uris: ['https://other.example/cb'] }));
      host.pass(3601);
      expect((await page()).status).toBe(400);
      expect((await page({ redirect_uri: 'https://other.example/cb' })).status).toBe(200);
    });

    it('is fetched once for many requests at once', async () => {
      await Promise.all(Array.from({ length: 20 }, () => page()));
      expect(requests).toHaveLength(1);
    });

    /** Waits until documents are fetched, and a moment longer, for more of them than there should be. */
    async function fetches(count: number): Promise<void> {
      const end = performance.now() + 15_000;
      const wait = (milliseconds: number): Promise<void> =>
        new Promise((resolve) => setTimeout(resolve, milliseconds));
      while (requests.length < count && performance.now() < end) await wait(20);
      await wait(300);
    }

    it('of one origin does not hold up those of others', async () => {
      // Slow ones of one origin: two are fetched at once, and a few wait.
      answer = () => undefined;
      const slow = Array.from({ length: 40 }, (_, number) => page({ client_id: `${origin}/slow-${number}` }));
      const outcomes = Promise.all(slow);
      await fetches(2);
      expect(requests.length).toBe(2);
      const other = createServer((_req, res) => {
        json({ ...documentOf(), client_id: `${otherOrigin}/c` })(_req, res);
      });
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
      const otherOrigin = `http://localhost:${(other.address() as AddressInfo).port}`;
      const started = performance.now();
      expect((await page({ client_id: `${otherOrigin}/c` })).status).toBe(200);
      expect(performance.now() - started).toBeLessThan(2000);
      other.close();
      server.closeAllConnections();
      answer = (req) => req.socket.destroy();
      expect((await outcomes).map(({ status }) => status)).toEqual(Array<number>(40).fill(503));
    }, 30_000);

    it('of one sender does not hold up those of others', async () => {
      host.app.set('trust proxy', true);
      const servers = await Promise.all(
        Array.from({ length: 12 }, async () => {
          const slow = createServer((req) => void requests.push(req.url ?? ''));
          await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
          return slow;
        }),
      );
      const from = async (sender: string, clientId: string): Promise<number> => {
        const { status } = await authorize(host, form({ client_id: clientId })).set(
          'X-Forwarded-For',
          sender,
        );
        return status;
      };
      const outcomes = Promise.all(
        servers.map((slow) =>
          from('203.0.113.1', `http://localhost:${(slow.address() as AddressInfo).port}/slow`),
        ),
      );
      await fetches(8);
      const fetched = requests.filter((path) => path === '/slow').length;
      const ofOther = await from('198.51.100.1', url);
      for (const slow of servers) {
        slow.on('connection', (socket) => socket.destroy()).closeAllConnections();
        slow.close();
      }
      expect([fetched, ofOther]).toEqual([8, 200]);
      expect(await outcomes).toEqual(Array<number>(12).fill(503));
    }, 30_000);
  });

  describe('is not fetched', () => {
    it.each<[string, Record<string, string>]>([
      ['without PKCE', { code_challenge: '' }],
      ['without a redirect URI', { redirect_uri: '' }],
      ['for a redirect URI that cannot be one', { redirect_uri: 'javascript:alert(1)' }],
      ['for another response type', { response_type: 'token' }],
    ])('%s', async (_what, more) => {
      expect((await page(more)).status).toBe(400);
      expect(requests).toEqual([]);
    });

    it('for a pushed request that cannot be one', async () => {
      const { status } = await request(host.app)
        .post(`${host.base}/par`)
        .type('form')
        .send({ client_id: url });
      expect(status).toBe(400);
      expect(requests).toEqual([]);
    });

    it('for a code or a token that was not issued here', async () => {
      const garbage = { code: 'A'.repeat(60), refresh_token: 'A'.repeat(60), token: 'A'.repeat(60) };
      const bodies: Record<string, string>[] = [
        { grant_type: 'authorization_code', code: garbage.code, code_verifier: pkce().verifier },
        { grant_type: 'refresh_token', refresh_token: garbage.refresh_token },
      ];
      for (const body of bodies) {
        const { status, body: answered } = await token(body);
        expect([status, answered.error]).toEqual([401, 'invalid_client']);
      }
      for (const path of ['/revoke', '/introspect']) {
        const { status } = await request(host.app)
          .post(host.base + path)
          .type('form')
          .send({ client_id: url, token: garbage.token });
        expect(status).toBe(401);
      }
      expect(requests).toEqual([]);
    });

    it('for a logout, for client credentials, and for a request that nobody has signed', async () => {
      const own = documentHost({ endSession: () => undefined });
      const unsigned = [{ alg: 'none' }, { iss: url, client_id: url, aud: own.issuer }, {}]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.');
      const at = (path: string): string => `${own.base}${path}`;
      await request(own.app).get(`${at('/logout')}?${new URLSearchParams({ client_id: url }).toString()}`);
      await token({ grant_type: 'client_credentials' }, own);
      for (const object of [unsigned, 'x.y.z']) await authorize(own, { client_id: url, request: object });
      for (const body of [
        { client_id: url, request: unsigned },
        { client_assertion: unsigned, client_assertion_type: ASSERTION_TYPE },
      ])
        await request(own.app).post(at('/par')).type('form').send(body);
      expect(requests).toEqual([]);
    });

    it('for a URL that the host does not trust', async () => {
      const seen: string[] = [];
      const own = documentHost({
        metadataDocuments: {
          allow: ({ href }) => {
            seen.push(href);
            return false;
          },
        },
      });
      expect((await page({}, own)).status).toBe(400);
      expect([seen, requests]).toEqual([[url], []]);
    });
  });

  describe('authentication', () => {
    let key: ClientKey;
    beforeEach(async () => {
      key = await clientKey();
    });

    const signed = (by = key): Promise<string> =>
      assertion(by, { clientId: url, issuer: host.issuer, now: host.now });
    const type = ASSERTION_TYPE;

    it('by the keys of the document', async () => {
      answer = json(
        documentOf({ token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key.publicJwk] } }),
      );
      const code = await allowed();
      const bare = await redeem(code);
      expect([bare.status, bare.body.error]).toEqual([401, 'invalid_client']);
      const { status } = await redeem(code, {
        client_assertion: await signed(),
        client_assertion_type: type,
      });
      expect(status).toBe(200);
    });

    it('either way, where the document offers both', async () => {
      answer = json(
        documentOf({
          token_endpoint_auth_methods_supported: ['none', 'private_key_jwt', 'client_secret_basic'],
          jwks: { keys: [key.publicJwk] },
        }),
      );
      expect((await redeem(await allowed())).status).toBe(200);
      const code = await allowed();
      const proven = await redeem(code, { client_assertion: await signed(), client_assertion_type: type });
      expect(proven.status).toBe(200);
      const other = await redeem(await allowed(), {
        client_assertion: await signed(await clientKey()),
        client_assertion_type: type,
      });
      expect(other.body.error).toBe('invalid_client');
    });
  });

  it('the host decides about each, and may vouch for it', async () => {
    const own = documentHost({
      selfAsserted: {
        approve: ({ clientId, clientName }, { source }) => {
          expect([clientId, source]).toEqual([url, 'metadata_document']);
          return clientName === 'Document client' && { selfAsserted: false, firstParty: true };
        },
      },
    });
    const response = await page({}, own);
    expect(answerOf(response).code).toBeTruthy();
    answer = json(documentOf({ client_name: 'Another' }));
    own.pass(3601);
    expect((await page({}, own)).status).toBe(400);
  });

  it('a client of the adapter or the options comes first', async () => {
    const fixed = documentHost({
      clients: [{ clientId: url, redirectUris: [CALLBACK], scope: 'orders:read' }],
    });
    expect((await page({}, fixed)).text).toContain('wants to access your account');
    await host.adapter.saveClient!({ clientId: url, redirectUris: [CALLBACK], scope: 'orders:read' });
    expect((await page()).text).toContain('wants to access your account');
    expect(requests).toEqual([]);
  });

  it('installations share the id, and nothing else', async () => {
    const [mine, theirs] = [await tokens(), await tokens()];
    host.user = { id: 'bob' };
    const bobs = await tokens();
    await request(host.app)
      .post(`${host.base}/revoke`)
      .type('form')
      .send({ client_id: url, token: mine.refresh_token })
      .expect(200);
    expect((await refresh(mine.refresh_token)).body.error).toBe('invalid_grant');
    const { body: next } = await refresh(theirs.refresh_token);
    expect(next.refresh_token).toBeTruthy();
    await host.oauth.revokeGrants({ userId: 'alice', clientId: url });
    expect((await refresh(next.refresh_token as string)).body.error).toBe('invalid_grant');
    expect((await refresh(bobs.refresh_token)).status).toBe(200);
  });
});
