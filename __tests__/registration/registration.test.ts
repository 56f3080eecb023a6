import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import request from 'supertest';

import { OAuthConfigurationError } from 'express-oauth-router';

import { createCheckSector } from '../../lib/clients/sector-identifier';
import { createOutbound } from '../../lib/http/outbound';
import { REGISTERED_CLIENT_ID } from '../../lib/registration/register';
import {
  answerOf,
  authorize,
  CALLBACK,
  makeHost,
  pkce,
  hasClock,
  sharedPool,
  sharedRedis,
  prefixOf,
  VARIANTS,
  type Host,
  type HostOptions,
} from '../support/host';
import { clientKey, signed } from '../support/jose';

interface Registered {
  client_id: string;
  client_secret?: string;
  registration_client_uri: string;
  registration_access_token: string;
  [member: string]: unknown;
}

describe.each(VARIANTS)(
  'dynamic client registration (RFC 7591, RFC 7592) on $store at the $mount',
  (variant) => {
    let host: Host;
    beforeEach(() => {
      host = openHost();
    });

    const openHost = (options: HostOptions = {}): Host =>
      makeHost(variant, { registration: { open: true }, ...options });

    const METADATA = {
      client_name: 'App',
      redirect_uris: [CALLBACK],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      scope: 'orders:read',
    };

    const post = (body: object | string, own = host, authorization?: string): request.Test => {
      const test = request(own.app).post(`${own.base}/register`).set('Content-Type', 'application/json');
      if (authorization !== undefined) void test.set('Authorization', authorization);
      return test.send(body);
    };

    async function register(more: object = {}, own = host, authorization?: string): Promise<Registered> {
      const { status, body } = await post({ ...METADATA, ...more }, own, authorization);
      expect([status, body]).toEqual([201, expect.any(Object)]);
      return body as Registered;
    }

    const manage = (
      method: 'get' | 'put' | 'delete',
      { registration_client_uri: uri, registration_access_token: token }: Registered,
      body?: object,
      own = host,
    ): request.Test => {
      const test = request(own.app)[method](new URL(uri).pathname).set('Authorization', `Bearer ${token}`);
      return body ? test.send(body) : test;
    };

    async function tokens(client: Registered, own = host, scope = 'orders:read'): Promise<request.Response> {
      const pair = pkce();
      const shown = await authorize(own, {
        response_type: 'code',
        client_id: client.client_id,
        redirect_uri: CALLBACK,
        code_challenge: pair.challenge,
        code_challenge_method: 'S256',
        scope,
      }).set('Accept', 'text/html');
      const sealed = /name="request" value="([^"]+)"/.exec(shown.text)?.[1] ?? shown.text;
      const decided = await request(own.app)
        .post(`${own.base}/consent`)
        .type('form')
        .send({ request: sealed, decision: 'allow' });
      const test = request(own.app).post(`${own.base}/token`).type('form');
      const secret = client.client_secret;
      if (secret !== undefined) void test.auth(client.client_id, secret);
      return test.send({
        grant_type: 'authorization_code',
        ...(secret === undefined && { client_id: client.client_id }),
        code: answerOf(decided).code,
        code_verifier: pair.verifier,
        redirect_uri: CALLBACK,
      });
    }

    it('is off unless it is switched on', async () => {
      const off = makeHost(variant);
      expect((await post(METADATA, off)).status).toBe(404);
      const path = '/.well-known/oauth-authorization-server';
      expect((await request(off.app).get(path + off.base)).body).not.toHaveProperty('registration_endpoint');
      expect((await request(host.app).get(path + host.base)).body).toMatchObject({
        registration_endpoint: `${host.issuer}/register`,
      });
    });

    it('registers a public client, which gets tokens', async () => {
      const { status, body, headers } = await post(METADATA);
      expect([status, headers['cache-control'], headers['access-control-allow-origin']]).toEqual([
        201,
        'no-store',
        '*',
      ]);
      expect(body).toEqual({
        ...METADATA,
        client_id: expect.stringMatching(REGISTERED_CLIENT_ID),
        client_id_issued_at: Math.floor(host.now / 1000),
        registration_client_uri: `${host.issuer}/register/${body.client_id}`,
        registration_access_token: expect.any(String),
      });
      expect(host.eventNames()).toContain('client.registered');
      const { status: redeemed, body: issued } = await tokens(body as Registered);
      expect([redeemed, issued.refresh_token]).toEqual([200, expect.any(String)]);
    });

    it('registers a confidential client by default, with a secret that is told once', async () => {
      const { token_endpoint_auth_method: _, ...metadata } = METADATA;
      const { body } = await post(metadata);
      expect(body).toMatchObject({
        token_endpoint_auth_method: 'client_secret_basic',
        client_secret: expect.any(String),
        client_secret_expires_at: 0,
      });
      expect((await tokens(body as Registered)).status).toBe(200);
      const { body: read } = await manage('get', body as Registered);
      expect(read).not.toHaveProperty('client_secret');
      expect(read.client_secret_expires_at).toBe(0);
      expect(JSON.stringify(await host.adapter.getClient(body.client_id as string))).not.toContain(
        body.client_secret,
      );
    });

    it('client_secret_jwt gets a secret that is sealed', async () => {
      const client = await register({ token_endpoint_auth_method: 'client_secret_jwt' });
      expect(client.client_secret!.length).toBeGreaterThan(42);
      expect(JSON.stringify(await host.adapter.getClient(client.client_id))).not.toContain(
        client.client_secret,
      );
    });

    it('never has a null, and ignores what it does not know', async () => {
      const body = await register({
        client_uri: null,
        logo_uri: null,
        jwks: null,
        frontchannel_logout_uri: 'x',
        'client_name#de': 'x',
      });
      expect(Object.values(body)).not.toContain(null);
      expect(body).not.toHaveProperty('client_uri');
      expect(body).not.toHaveProperty('frontchannel_logout_uri');
    });

    describe('the same metadata', () => {
      it('is the same client without a secret, whatever the order of its members', async () => {
        const first = await register();
        const reversed = Object.fromEntries(Object.entries(METADATA).reverse());
        const { body } = await post(reversed);
        expect(body).toEqual(first);
        expect((await register({ client_name: 'Other' })).client_id).not.toBe(first.client_id);
        expect(
          (await register({ redirect_uris: [CALLBACK, 'https://other.example/cb'] })).client_id,
        ).not.toBe(first.client_id);
      });

      it('is another client with a secret', async () => {
        const more = { token_endpoint_auth_method: 'client_secret_post' };
        expect((await register(more)).client_id).not.toBe((await register(more)).client_id);
      });

      it('may be read, but not changed or deleted by one of those who share it', async () => {
        const [client] = [await register(), await register()];
        expect((await manage('get', client)).body).toEqual(client);
        const changed = {
          ...METADATA,
          client_id: client.client_id,
          redirect_uris: ['https://evil.example/cb'],
        };
        expect((await manage('put', client, changed)).status).toBe(403);
        expect((await manage('delete', client)).status).toBe(403);
        expect((await tokens(client)).status).toBe(200);
      });
    });

    describe('a client that cannot be is refused', () => {
      it.each<[string, object, string]>([
        ['no redirect URI', { redirect_uris: [] }, 'invalid_client_metadata'],
        [
          'a redirect URI that runs script',
          { redirect_uris: ['javascript:alert(1)'] },
          'invalid_redirect_uri',
        ],
        [
          'a redirect URI with a fragment',
          { redirect_uris: ['https://a.example/#x'] },
          'invalid_redirect_uri',
        ],
        ['a redirect URI that is no text', { redirect_uris: [{ $ne: 1 }] }, 'invalid_redirect_uri'],
        [
          'too many redirect URIs',
          { redirect_uris: Array.from({ length: 51 }, (_, n) => `https://a.example/${n}`) },
          'invalid_redirect_uri',
        ],
        ['an unknown method', { token_endpoint_auth_method: 'magic' }, 'invalid_client_metadata'],
        ['a method that is an object', { token_endpoint_auth_method: {} }, 'invalid_client_metadata'],
        [
          'private_key_jwt without keys',
          { token_endpoint_auth_method: 'private_key_jwt' },
          'invalid_client_metadata',
        ],
        ['keys twice', { jwks: { keys: [] }, jwks_uri: 'https://a.example/jwks' }, 'invalid_client_metadata'],
        ['client credentials only', { grant_types: ['client_credentials'] }, 'invalid_client_metadata'],
        ['grant types that are text', { grant_types: 'authorization_code' }, 'invalid_client_metadata'],
        ['only the response type token', { response_types: ['token'] }, 'invalid_client_metadata'],
        ['an unknown scope', { scope: 'unknown' }, 'invalid_client_metadata'],
        ['a scope that is a list', { scope: ['orders:read'] }, 'invalid_client_metadata'],
        ['a name with control characters', { client_name: 'a\u0000b' }, 'invalid_client_metadata'],
        ['a name with direction characters', { client_name: 'a\u202Eb' }, 'invalid_client_metadata'],
        ['a logo over http', { logo_uri: 'http://a.example/logo.png' }, 'invalid_client_metadata'],
        ['a logo that runs script', { logo_uri: 'javascript:alert(1)' }, 'invalid_client_metadata'],
        ['a page that runs script', { policy_uri: 'javascript:alert(1)' }, 'invalid_client_metadata'],
      ])('%s', async (_what, more, error) => {
        const { status, body } = await post({ ...METADATA, ...more });
        expect([status, body.error]).toEqual([400, error]);
        expect(body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
      });

      it.each<[string, object | string]>([
        ['a list', []],
        ['text', '"x"'],
        ['broken', '{'],
        ['empty', ''],
        ['null', 'null'],
      ])('a body that is %s', async (_what, body) => {
        expect((await post(body)).status).toBe(400);
      });

      it('a form', async () => {
        const { status } = await request(host.app)
          .post(`${host.base}/register`)
          .type('form')
          .send('client_name=x');
        expect(status).toBe(400);
      });

      it('what only the host may set is ignored', async () => {
        const client = await register({
          first_party: true,
          firstParty: true,
          require_pkce: false,
          requirePkce: false,
          selfAsserted: false,
          clientId: 'web',
        });
        const stored = await host.adapter.getClient(client.client_id);
        expect(stored).toMatchObject({ clientId: client.client_id, selfAsserted: true });
        expect(stored).not.toHaveProperty('firstParty');
        expect(stored).not.toHaveProperty('requirePkce');
      });
    });

    it('grant types that are not for strangers are left out', async () => {
      const client = await register({
        grant_types: [
          'authorization_code',
          'client_credentials',
          'urn:ietf:params:oauth:grant-type:device_code',
        ],
        token_endpoint_auth_method: 'client_secret_basic',
      });
      expect(client.grant_types).toEqual(['authorization_code']);
      const { body } = await request(host.app)
        .post(`${host.base}/token`)
        .type('form')
        .auth(client.client_id, client.client_secret!)
        .send({ grant_type: 'client_credentials' });
      expect(body.error).toBe('unauthorized_client');
    });

    it('response types that are not supported are left out', async () => {
      expect((await register({ response_types: ['code', 'token'] })).response_types).toEqual(['code']);
    });

    describe('with an initial access token', () => {
      const guarded = (): Host =>
        openHost({ registration: { initialAccessToken: (token) => token === 'developer-token' } });

      it('is needed, and makes a client of the host', async () => {
        const own = guarded();
        const none = await post(METADATA, own);
        expect([none.status, none.headers['www-authenticate']]).toEqual([401, 'Bearer']);
        const wrong = await post(METADATA, own, 'Bearer x');
        expect([wrong.status, wrong.headers['www-authenticate']]).toEqual([
          401,
          'Bearer error="invalid_token"',
        ]);
        const client = await register({}, own, 'Bearer developer-token');
        expect(await own.adapter.getClient(client.client_id)).toMatchObject({
          selfAsserted: false,
          registration: 'initial_access_token',
        });
        const shown = await authorize(own, {
          response_type: 'code',
          client_id: client.client_id,
          redirect_uri: CALLBACK,
          code_challenge: pkce().challenge,
          code_challenge_method: 'S256',
        }).set('Accept', 'text/html');
        expect(shown.text).toContain('wants to access your account');
        expect((await tokens(client, own)).status).toBe(200);
      });

      it('belongs to its holder: the same metadata is another client', async () => {
        const own = openHost({ registration: { open: true, initialAccessToken: (token) => token === 't' } });
        const [one, two, anybody] = [
          await register({}, own, 'Bearer t'),
          await register({}, own, 'Bearer t'),
          await register({}, own),
        ];
        expect(new Set([one, two, anybody].map((client) => client.client_id)).size).toBe(3);
        expect((await manage('delete', one, undefined, own)).status).toBe(204);
        expect((await manage('get', two, undefined, own)).status).toBe(200);
        // Neither an empty token nor one of another scheme is one.
        for (const authorization of ['Bearer', 'Bearer ', 'DPoP t', 'Basic dDp0'])
          expect((await register({}, own, authorization)).client_id).toBe(anybody.client_id);
      });
    });

    describe('management', () => {
      const managed = (): Promise<Registered> =>
        register({ token_endpoint_auth_method: 'client_secret_basic' });

      it('replaces the metadata as a whole, and keeps the secret', async () => {
        const client = await managed();
        const next = {
          client_id: client.client_id,
          client_secret: client.client_secret,
          client_name: 'Renamed',
          redirect_uris: [CALLBACK, 'https://app.example.com/other'],
          grant_types: ['authorization_code'],
        };
        const { status, body } = await manage('put', client, next);
        expect(status).toBe(200);
        expect(body).toMatchObject({
          client_name: 'Renamed',
          grant_types: ['authorization_code'],
          client_id: client.client_id,
        });
        expect(body).not.toHaveProperty('client_secret');
        expect(body.client_id_issued_at).toBe(client.client_id_issued_at);
        expect((await tokens(client)).status).toBe(200);
        expect((await manage('get', client)).body).toMatchObject({ client_name: 'Renamed' });
        expect(host.eventNames()).toContain('client.updated');
      });

      it('gives a secret to a client that needs one now, and takes it from one that does not', async () => {
        const client = await managed();
        const body = { ...METADATA, client_id: client.client_id };
        const { body: open } = await manage('put', client, body);
        expect(open).not.toHaveProperty('client_secret_expires_at');
        expect((await tokens({ ...client, client_secret: undefined })).status).toBe(200);
        const { body: closed } = await manage('put', client, {
          ...body,
          token_endpoint_auth_method: 'client_secret_post',
        });
        expect(closed.client_secret).toEqual(expect.any(String));
        expect(closed.client_secret).not.toBe(client.client_secret);
      });

      it.each<[string, object]>([
        ['another client_id', { client_id: 'web' }],
        ['no client_id', { client_id: undefined }],
        ['a wrong secret', { client_secret: 'wrong' }],
        ['a secret that is no text', { client_secret: 1 }],
        ['a redirect URI that runs script', { redirect_uris: ['javascript:alert(1)'] }],
      ])('refuses %s, and changes nothing', async (_what, more) => {
        const client = await managed();
        const before = (await manage('get', client)).body as object;
        const { status } = await manage('put', client, { ...METADATA, client_id: client.client_id, ...more });
        expect(status).toBe(400);
        expect((await manage('get', client)).body).toEqual(before);
      });

      it('deletes the client, whose tokens and token are over', async () => {
        const client = await managed();
        const { body: issued } = await tokens(client);
        expect((await manage('delete', client)).status).toBe(204);
        expect((await manage('get', client)).status).toBe(401);
        expect((await manage('delete', client)).status).toBe(401);
        const { status, body } = await request(host.app)
          .post(`${host.base}/token`)
          .type('form')
          .auth(client.client_id, client.client_secret!)
          .send({ grant_type: 'refresh_token', refresh_token: issued.refresh_token as string });
        expect([status, body.error]).toEqual([401, 'invalid_client']);
        await expect(
          host.oauth.verifyToken(issued.access_token as string, { checkRevocation: true }),
        ).rejects.toMatchObject({ code: 'invalid_token' });
        expect(host.eventNames()).toContain('client.deleted');
      });

      it('needs the token of this client', async () => {
        const [mine, theirs] = [await managed(), await managed()];
        for (const registration_access_token of [
          theirs.registration_access_token,
          '',
          'x',
          `${mine.registration_access_token}=`,
        ]) {
          const { status, body } = await manage('delete', { ...mine, registration_access_token });
          expect([status, body.error]).toEqual([401, 'invalid_token']);
        }
        const bare = await request(host.app).get(new URL(mine.registration_client_uri).pathname);
        expect([bare.status, bare.headers['www-authenticate']]).toEqual([401, 'Bearer']);
        expect((await manage('get', mine)).status).toBe(200);
        const other = await request(host.app).post(new URL(mine.registration_client_uri).pathname);
        expect(other.status).toBe(405);
      });

      it('is not for clients of the host', async () => {
        await host.adapter.saveClient!({ clientId: 'x'.repeat(43), redirectUris: [CALLBACK] });
        const client = await managed();
        const uri = client.registration_client_uri.replace(client.client_id, 'x'.repeat(43));
        expect((await manage('get', { ...client, registration_client_uri: uri })).status).toBe(401);
        // One that the host has taken over.
        await host.adapter.saveClient!({ clientId: client.client_id, redirectUris: [CALLBACK] });
        expect((await manage('get', client)).status).toBe(401);
        expect((await request(host.app).get(`${host.base}/register/web`)).status).toBe(404);
      });
    });

    describe('a registration without use', () => {
      it('is dropped, and one that has got a token is kept', async () => {
        const [used, unused, renewed] = [
          await register({ client_name: 'used' }),
          await register({ client_name: 'unused' }),
          await register({ client_name: 'renewed' }),
        ];
        expect((await tokens(used)).status).toBe(200);
        if (hasClock(variant)) {
          host.pass(80_000);
          await register({ client_name: 'renewed' });
          host.pass(7_000);
          expect(await host.adapter.getClient(unused.client_id)).toBeUndefined();
          expect(await host.adapter.getClient(used.client_id)).toBeDefined();
          expect(await host.adapter.getClient(renewed.client_id)).toBeDefined();
          host.pass(1e7);
          expect(await host.adapter.getClient(used.client_id)).toBeDefined();
          // It can come back, under the same id.
          expect((await register({ client_name: 'unused' })).client_id).toBe(unused.client_id);
        } else if (variant.store === 'redis') {
          const ttl = ({ client_id: id }: Registered): Promise<number> =>
            sharedRedis().ttl(`${prefixOf(host.adapter)}client:${id}`);
          expect(await ttl(used)).toBe(-1);
          expect(await ttl(unused)).toBeGreaterThan(86_000);
        } else {
          const { rows } = await sharedPool().query<{ expires_at: string | null }>(
            `SELECT expires_at FROM ${prefixOf(host.adapter)}clients WHERE client_id = ANY($1) ORDER BY expires_at IS NULL`,
            [[used.client_id, unused.client_id]],
          );
          expect(Number(rows[0]?.expires_at)).toBeGreaterThan(Date.now() + 86_000_000);
          expect(rows[1]).toEqual({ expires_at: null });
        }
      });

      it('a change does not prolong it', async () => {
        const client = await register({ token_endpoint_auth_method: 'client_secret_basic' });
        expect(
          (
            await manage('put', client, {
              ...METADATA,
              client_id: client.client_id,
              token_endpoint_auth_method: 'client_secret_basic',
            })
          ).status,
        ).toBe(200);
        if (variant.store !== 'memory') return;
        host.pass(87_000);
        expect((await manage('get', client)).status).toBe(401);
      });
    });

    describe('the limit', () => {
      const register61 = async (own: Host, more: (number: number) => object): Promise<number[]> => {
        const results = [];
        for (let number = 0; number < 8; number++)
          results.push((await post({ ...METADATA, ...more(number) }, own)).status);
        return results;
      };

      it('is for each source and hour, in all processes; what exists is not counted', async () => {
        const options = { registration: { open: true, limit: 5 } };
        const own = openHost(options);
        const second = openHost({ ...options, adapter: own.adapter, clock: () => own.now });
        await register({ client_name: '0' }, own);
        const statuses = [
          ...(await register61(second, (number) => ({ client_name: String(number % 3) }))),
          ...(await register61(own, (number) => ({ client_name: `n${number}` }))),
        ];
        expect(statuses).toEqual([...Array<number>(8 + 2).fill(201), ...Array<number>(6).fill(429)]);
        const { headers, body } = await post({ ...METADATA, client_name: 'more' }, second);
        expect(body.error).toBe('too_many_requests');
        expect(Number(headers['retry-after'])).toBeLessThanOrEqual(3600);
        own.pass(3600);
        await register({ client_name: 'an hour later' }, own);
      });

      it('counts the source that the host names', async () => {
        const own = openHost({
          registration: { open: true, limit: 1, sourceOf: (req) => req.get('x-account') },
        });
        const as = async (account: string | undefined, name: string): Promise<number> => {
          const test = post({ ...METADATA, client_name: name }, own);
          return (await (account === undefined ? test : test.set('X-Account', account))).status;
        };
        expect([
          await as('a', '1'),
          await as('a', '2'),
          await as('b', '3'),
          await as(undefined, '4'),
          await as(undefined, '5'),
        ]).toEqual([201, 429, 201, 201, 201]);
      });

      it('ten thousand registrations at once leave a bounded trace', async () => {
        const own = openHost({ registration: { open: true, limit: 20 } });
        const before = process.memoryUsage().heapUsed;
        let accepted = 0;
        for (let part = 0; part < 20; part++) {
          const statuses = await Promise.all(
            Array.from({ length: 25 }, (_, number) =>
              post({ ...METADATA, client_name: `${part} ${number}` }, own),
            ),
          );
          accepted += statuses.filter(({ status }) => status === 201).length;
        }
        expect(accepted).toBe(20);
        expect(process.memoryUsage().heapUsed - before).toBeLessThan(200_000_000);
      }, 60_000);
    });

    describe('software statements', () => {
      const ISSUER = 'https://vendor.example';

      it('of a known issuer override what the client says', async () => {
        const key = await clientKey();
        const own = openHost({
          registration: {
            open: true,
            softwareStatementIssuers: { [ISSUER]: { jwks: { keys: [key.publicJwk] } } },
          },
          selfAsserted: {
            approve: (_client, { softwareStatement }) =>
              softwareStatement?.iss === ISSUER ? { selfAsserted: false } : true,
          },
        });
        const statement = await signed(key, { iss: ISSUER, software_id: 's1', client_name: 'Vendor app' });
        const client = await register({ client_name: 'Mallory', software_statement: statement }, own);
        expect(client).toMatchObject({ client_name: 'Vendor app', software_id: 's1' });
        expect(await own.adapter.getClient(client.client_id)).toMatchObject({ selfAsserted: false });
        const other = await clientKey();
        for (const [software_statement, error] of [
          [
            await signed({ ...other, kid: key.kid }, { iss: ISSUER, client_name: 'x' }),
            'invalid_software_statement',
          ],
          [await signed(key, { iss: ISSUER, exp: 1 }), 'invalid_software_statement'],
          ['x.y.z', 'invalid_software_statement'],
          [{}, 'invalid_software_statement'],
          [await signed(other, { iss: 'https://other.example' }), 'unapproved_software_statement'],
          [await signed(other, { iss: 'constructor' }), 'unapproved_software_statement'],
        ] as const) {
          const { status, body } = await post({ ...METADATA, software_statement }, own);
          expect([status, body.error]).toEqual([400, error]);
        }
      });
    });

    it('the host decides about each', async () => {
      const own = openHost({
        selfAsserted: {
          approve: ({ redirectUris }) =>
            redirectUris?.every((uri) => uri.startsWith('https://app.example.com/')),
        },
      });
      await register({}, own);
      const { status, body } = await post({ ...METADATA, redirect_uris: ['https://evil.example/cb'] }, own);
      expect([status, body.error]).toEqual([400, 'invalid_client_metadata']);
    });

    it('sector_identifier_uri must list the redirect URIs (OpenID Connect Registration §5)', async () => {
      let listed: unknown = [CALLBACK, 'https://app.example.com/other'];
      const server = createServer((_req, res) => res.end(JSON.stringify(listed)));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const check = createCheckSector(createOutbound({ allowPrivateAddresses: true }));
      const of = (redirectUris: string[]): Promise<void> =>
        check({ redirectUris, sectorIdentifierUri: `http://localhost:${port}/sector` });
      await of([CALLBACK]);
      await expect(of([CALLBACK, 'https://evil.example/cb'])).rejects.toMatchObject({
        code: 'invalid_client_metadata',
      });
      listed = { 0: CALLBACK };
      await expect(of([CALLBACK])).rejects.toMatchObject({ code: 'invalid_client_metadata' });
      server.close();

      const own = openHost({ pairwiseSecret: 'x'.repeat(32) });
      const uri = `https://localhost:${port}/sector`;
      const { body } = await post({ ...METADATA, subject_type: 'pairwise', sector_identifier_uri: uri }, own);
      expect(body).toMatchObject({ error_description: 'sector_identifier_uri cannot be fetched' });
    });

    describe('what attackers tried', () => {
      const own = { token_endpoint_auth_method: 'client_secret_basic' };

      it('another destination while the consent page is open', async () => {
        const client = await register(own);
        const pair = pkce();
        const shown = await authorize(host, {
          response_type: 'code',
          client_id: client.client_id,
          code_challenge: pair.challenge,
          code_challenge_method: 'S256',
        }).set('Accept', 'text/html');
        expect(shown.text).toContain('app.example.com');
        const evil = {
          ...METADATA,
          ...own,
          client_id: client.client_id,
          redirect_uris: ['https://evil.example/cb'],
        };
        expect((await manage('put', client, evil)).status).toBe(200);
        const sealed = /name="request" value="([^"]+)"/.exec(shown.text)![1]!;
        const decided = await request(host.app)
          .post(`${host.base}/consent`)
          .type('form')
          .send({ request: sealed, decision: 'allow' });
        expect(decided.headers.location).toBeUndefined();
        expect(decided.text).toContain('<strong>evil.example</strong>');
      });

      it('trust that a change has not earned', async () => {
        const key = await clientKey();
        const contexts: unknown[] = [];
        const guarded = openHost({
          registration: {
            open: true,
            softwareStatementIssuers: { 'https://v.example': { jwks: { keys: [key.publicJwk] } } },
          },
          selfAsserted: {
            approve: (_client, context) => {
              contexts.push(context.hasInitialAccessToken);
              return context.softwareStatement ? { selfAsserted: false } : true;
            },
          },
        });
        const software_statement = await signed(key, { iss: 'https://v.example' });
        const client = await register({ ...own, software_statement }, guarded);
        expect(client.software_statement).toBe(software_statement);
        expect(await guarded.adapter.getClient(client.client_id)).toMatchObject({ selfAsserted: false });
        await manage('put', client, { ...METADATA, ...own, client_id: client.client_id }, guarded).expect(
          200,
        );
        expect(await guarded.adapter.getClient(client.client_id)).toMatchObject({ selfAsserted: true });
        expect(contexts).toEqual([false, false]);
      });

      it('a change that comes after the deletion', async () => {
        let release = (): void => undefined;
        let isHeld = false;
        const held = openHost({
          adapter: host.adapter,
          selfAsserted: {
            approve: async () => {
              if (isHeld) await new Promise<void>((resolve) => (release = resolve));
              return true;
            },
          },
        });
        const client = await register(own, held);
        isHeld = true;
        const put = manage('put', client, { ...METADATA, ...own, client_id: client.client_id }, held);
        const changed = put.then(({ status }) => status);
        while (String(release).includes('undefined')) await new Promise((resolve) => setTimeout(resolve, 5));
        expect((await manage('delete', client)).status).toBe(204);
        release();
        expect(await changed).toBe(401);
        expect(await host.adapter.getClient(client.client_id)).toBeUndefined();
      });

      it('old tokens, after the host has deleted a client and it has registered again', async () => {
        const client = await register();
        const { body: issued } = await tokens(client);
        await host.adapter.deleteClient!(client.client_id);
        host.pass(2);
        expect((await register()).client_id).toBe(client.client_id);
        const refreshed = await request(host.app)
          .post(`${host.base}/token`)
          .type('form')
          .send({
            grant_type: 'refresh_token',
            client_id: client.client_id,
            refresh_token: issued.refresh_token as string,
          });
        expect(refreshed.body.error).toBe('invalid_grant');
        // Its next use keeps it, although an earlier client of this id was kept before.
        expect((await tokens(client)).status).toBe(200);
        if (hasClock(variant)) host.pass(100_000);
        expect(await host.adapter.getClient(client.client_id)).toBeDefined();
      });

      it('the same metadata without the software statement, beforehand', async () => {
        const key = await clientKey();
        const guarded = openHost({
          registration: {
            open: true,
            softwareStatementIssuers: { 'https://v.example': { jwks: { keys: [key.publicJwk] } } },
          },
        });
        const before = await register({}, guarded);
        const software_statement = await signed(key, { iss: 'https://v.example' });
        expect((await register({ software_statement }, guarded)).client_id).not.toBe(before.client_id);
      });

      it('logout as an open redirect', async () => {
        const leaving = openHost({
          endSession: () => undefined,
          scopes: { 'orders:read': 'See your orders' },
        });
        const evil = 'https://evil.example/phish';
        const client = await register(
          { ...own, post_logout_redirect_uris: [evil], scope: 'openid' },
          leaving,
        );
        const { body } = await tokens(client, leaving, 'openid');
        const hint = body.id_token as string;
        leaving.user = undefined;
        const query = new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: evil });
        const left = await request(leaving.app).get(`${leaving.base}/logout?${query.toString()}`);
        expect([left.status, left.headers.location]).toEqual([200, undefined]);
        expect(left.text).toContain('Back to the app');
      });

      it.each<[string, object]>([
        ['an algorithm without a key', { id_token_signed_response_alg: 'PS512' }],
        ['pairwise subjects where there are none', { subject_type: 'pairwise' }],
        [
          'certificates where there are none',
          { token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: 'a.example' },
        ],
        ['tokens bound to certificates', { tls_client_certificate_bound_access_tokens: true }],
      ])('%s is refused at once, not by a failure later', async (_what, more) => {
        const { status, body } = await post({ ...METADATA, ...more });
        expect([status, body.error]).toEqual([400, 'invalid_client_metadata']);
        expect(host.eventNames()).not.toContain('server.failed');
      });

      it('nesting', async () => {
        const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
        for (const depth of [20, 3000, 15_000]) {
          const body = `{"redirect_uris":["${CALLBACK}"],"jwks":{"keys":[],"x":${nested(depth)}}}`;
          expect((await post(body)).status).toBe(400);
        }
        expect(host.eventNames().filter((name) => name.endsWith('.failed'))).toEqual([]);
      });

      it('names that cannot be seen', async () => {
        for (const client_name of ['\u200B', '\u3164', '   ', 'a\u200Bb'])
          expect((await post({ ...METADATA, client_name })).status).toBe(400);
        // An empty one counts as omitted.
        expect(await register({ client_name: '' })).not.toHaveProperty('client_name');
      });

      it('refused registrations, to use up the limit of others', async () => {
        const limited = openHost({ registration: { open: true, limit: 2 } });
        for (let number = 0; number < 5; number++)
          expect((await post({ ...METADATA, redirect_uris: ['javascript:x'] }, limited)).status).toBe(400);
        await register(own, limited);
        const client = await register({ ...own, client_name: 'second' }, limited);
        // A change may cause fetches, and is counted.
        const { status } = await manage(
          'put',
          client,
          { ...METADATA, ...own, client_id: client.client_id },
          limited,
        );
        expect(status).toBe(429);
      });
    });

    it.each<[string, () => unknown, number]>([
      ['a mark that is undefined', () => ({ selfAsserted: undefined }), 201],
      ['promises', () => ({ clientName: Promise.reject(new Error('boom')) }), 500],
      ['a wrong type', () => ({ scope: ['a'] }), 500],
      ['an unknown member', () => ({ nonsense: 1 }), 500],
      ['text', () => 'yes', 400],
      [
        'an exception',
        () => {
          throw new Error('boom');
        },
        500,
      ],
    ])('approve that gives %s', async (_what, approve, expected) => {
      const guarded = openHost({ selfAsserted: { approve: approve as never } });
      const { status, body } = await post(METADATA, guarded);
      expect(status).toBe(expected);
      if (status === 201)
        expect(await guarded.adapter.getClient(body.client_id as string)).toMatchObject({
          selfAsserted: true,
        });
      expect(JSON.stringify(body)).not.toContain('boom');
    });

    it('approve can limit the scope', async () => {
      const limited = openHost({
        scopes: { 'orders:read': 'See your orders', 'orders:write': 'Order things' },
        selfAsserted: { approve: () => ({ scope: 'orders:read' }) },
      });
      const client = await register({ scope: 'orders:read orders:write' }, limited);
      const ask = (scope: string): request.Test =>
        authorize(limited, {
          response_type: 'code',
          client_id: client.client_id,
          redirect_uri: CALLBACK,
          code_challenge: pkce().challenge,
          code_challenge_method: 'S256',
          scope,
        }).set('Accept', 'text/html');
      expect((await ask('orders:read')).status).toBe(200);
      expect(answerOf(await ask('orders:write')).error).toBe('invalid_scope');
    });

    it('reads rows with null for missing values', async () => {
      const { adapter } = host;
      const rows = openHost({
        adapter: {
          ...adapter,
          getClient: async (clientId) => {
            const client = await adapter.getClient(clientId);
            return (
              client &&
              ({ ...client, clientSecretHash: client.clientSecretHash ?? null, jwks: null } as never)
            );
          },
        },
      });
      const client = await register({}, rows);
      const { body } = await manage('get', client, undefined, rows);
      expect(body).not.toHaveProperty('client_secret_expires_at');
      expect((await register({}, rows)).client_id).toBe(client.client_id);
    });

    it('needs functions of the adapter, and says how it is open', () => {
      const lacking = { ...host.adapter, extendClient: undefined };
      expect(() => openHost({ adapter: lacking })).toThrow(
        /"registration" needs extendClient\(\) of the adapter/,
      );
      expect(() => openHost({ registration: false })).not.toThrow();
      expect(() => openHost({ registration: {} })).toThrow(/must have "open: true" or "initialAccessToken"/);
      expect(() => openHost({ registration: { opened: true } as never })).toThrow(OAuthConfigurationError);
    });
  },
);
