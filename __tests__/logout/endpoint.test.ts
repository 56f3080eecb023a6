import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

import * as jose from 'jose';
import request from 'supertest';

import {
  answerOf,
  authorizationForm,
  authorize,
  CLIENTS,
  getTokens,
  isActive,
  pkce,
  refresh,
  VARIANTS,
  type Form,
  type Host,
  type Tokens,
} from '../support/host';
import { EC, openidHost, OPENID_CLIENTS, verified } from '../support/openid';
import { joseKeyPair } from '../support/jose';

const BYE = 'https://app.example.com/bye';
const SCOPE = 'openid profile offline_access';

describe.each(VARIANTS)('RP-initiated logout on $store at the $mount', (variant) => {
  let ended = 0;
  const host: Host = openidHost(variant, {
    endSession: (_req, res) => {
      ended++;
      host.user = undefined;
      res.clearCookie('host');
    },
  });
  let hint = '';
  beforeEach(async () => {
    host.user = { id: 'alice', authTime: Math.floor(host.now / 1000), sid: 'session-1' };
    hint = ((await getTokens(host, 'web', { scope: 'openid' })) as Tokens & { id_token: string }).id_token;
    ended = 0;
  });

  const logout = (query: Form): request.Test => {
    const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return request(host.app).get(`${host.base}/logout?${new URLSearchParams(given).toString()}`);
  };

  it('is in the metadata only where the host can end its session', async () => {
    const endpointOf = async (at: Host): Promise<unknown> =>
      (await request(at.app).get(`${at.base}/.well-known/openid-configuration`)).body.end_session_endpoint;
    expect(await endpointOf(host)).toBe(`${host.issuer}/logout`);
    const without = openidHost(variant);
    expect(await endpointOf(without)).toBeUndefined();
    expect((await request(without.app).get(`${without.base}/logout`)).status).toBe(404);
  });

  it('with a hint and a registered URI: out, back there with state, and prompt=none fails', async () => {
    const response = await logout({ id_token_hint: hint, post_logout_redirect_uri: BYE, state: 'a b' });
    expect([response.status, response.headers.location]).toEqual([302, `${BYE}?state=a+b`]);
    expect(ended).toBe(1);
    const silent = await authorize(host, authorizationForm('web', pkce(), { prompt: 'none' }));
    expect(answerOf(silent).error).toBe('login_required');
  });

  it('the same by POST, without state, and with client_id', async () => {
    const response = await request(host.app)
      .post(`${host.base}/logout`)
      .type('form')
      .send({ id_token_hint: hint, post_logout_redirect_uri: BYE, client_id: 'web' });
    expect([response.status, response.headers.location]).toEqual([303, BYE]);
    expect(ended).toBe(1);
  });

  it('with a hint and no URI: out, and a page that says so', async () => {
    const response = await logout({ id_token_hint: hint, state: 'x' });
    expect([response.status, ended]).toEqual([200, 1]);
    expect(response.text).toContain('You are signed out');
  });

  it.each<[string, Form]>([
    ['no parameter at all', {}],
    ['state only', { state: 'x' }],
    ['a URI without a hint', { post_logout_redirect_uri: BYE }],
    ['a client only', { client_id: 'web' }],
  ])('with %s: asks first, and never redirects', async (_name, query) => {
    const page = await logout(query);
    expect([page.status, page.headers.location, ended]).toEqual([200, undefined, 0]);
    expect(page.headers).toMatchObject({ 'x-frame-options': 'DENY', 'cache-control': 'no-store' });
    const confirmation = /name="confirmation" value="([^"]+)"/.exec(page.text)![1]!;
    const answer = await request(host.app)
      .post(`${host.base}/logout`)
      .type('form')
      .send({ confirmation, decision: 'sign_out' });
    expect([answer.status, answer.headers.location, ended]).toEqual([200, undefined, 1]);
  });

  it('with a client and a registered URI, without a hint: whoever confirms is sent back', async () => {
    const query = { post_logout_redirect_uri: BYE, client_id: 'web', state: 's' };
    const page = await logout(query);
    expect([page.status, page.headers.location, ended]).toEqual([200, undefined, 0]);
    const confirmation = /name="confirmation" value="([^"]+)"/.exec(page.text)![1]!;
    const send = (decision: string): request.Test =>
      request(host.app).post(`${host.base}/logout`).type('form').send({ confirmation, decision });
    expect((await send('stay')).headers.location).toBeUndefined();
    expect(ended).toBe(0);
    expect((await send('sign_out')).headers.location).toBe(`${BYE}?state=s`);
    expect(ended).toBe(1);
    // Nobody is left to confirm it: the way back is a link.
    host.user = undefined;
    const done = await logout(query);
    expect([done.status, done.headers.location]).toEqual([200, undefined]);
    expect(done.text).toContain(`href="${BYE}?state=s"`);
    expect((await logout({ ...query, post_logout_redirect_uri: `${BYE}/x` })).status).toBe(400);
  });

  it('another user’s hint is asked about, and whoever stays is not signed out', async () => {
    host.user = { id: 'bob', sid: 'session-2' };
    const page = await logout({ id_token_hint: hint, post_logout_redirect_uri: BYE });
    expect([page.status, ended]).toEqual([200, 0]);
    const confirmation = /name="confirmation" value="([^"]+)"/.exec(page.text)![1]!;
    const decide = (decision: string): request.Test =>
      request(host.app).post(`${host.base}/logout`).type('form').send({ confirmation, decision });
    expect((await decide('stay')).text).toContain('still signed in');
    expect(ended).toBe(0);
    // The confirmation is bob's, and nobody else's.
    host.user = { id: 'carol' };
    expect((await decide('sign_out')).status).toBe(400);
    host.user = { id: 'bob', sid: 'session-2' };
    host.pass(601);
    expect((await decide('sign_out')).status).toBe(400);
    expect(ended).toBe(0);
  });

  it('a hint of another session of the same user is asked about', async () => {
    host.user = { id: 'alice', sid: 'another session' };
    expect((await logout({ id_token_hint: hint })).text).toContain('Do you want to sign out?');
    expect(ended).toBe(0);
  });

  it('a user without a valid id is an error, as everywhere', async () => {
    for (const user of [{}, { id: {} }, 'alice']) {
      const own = openidHost(variant, { authenticate: () => user as never, endSession: () => undefined });
      const response = await request(own.app).get(`${own.base}/logout`).set('Accept', 'text/html');
      expect(response.status).toBe(500);
    }
  });

  it('nobody signed in: nothing to end, and back there', async () => {
    host.user = undefined;
    const response = await logout({ id_token_hint: hint, post_logout_redirect_uri: BYE });
    expect([response.headers.location, ended]).toEqual([BYE, 0]);
  });

  it('a session whose cookie another site’s request does not bring along ends all the same', async () => {
    const own: Host = openidHost(variant, {
      authenticate: (req) => (req.headers.cookie ? { id: 'alice', sid: 'session-1' } : undefined),
      endSession: () => {
        ended++;
      },
    });
    const form = { id_token_hint: hint, post_logout_redirect_uri: BYE, state: 'a b' };
    const url = `${own.base}/logout`;
    for (const sent of [
      request(own.app).post(url).type('form').send(form),
      request(own.app).get(url).query(form),
    ]) {
      ended = 0;
      const page = await sent.set('Sec-Fetch-Site', 'cross-site');
      const [, action] = /<form method="post" action="([^"]+)"/.exec(page.text) ?? [];
      expect([page.status, page.headers.location, action]).toEqual([200, undefined, `${own.issuer}/logout`]);
      const inputs = [...page.text.matchAll(/name="([^"]+)" value="([^"]*)"/g)];
      const again = Object.fromEntries(inputs.map(([, name, value]) => [name, value]));
      const here = await request(own.app)
        .post(url)
        .set('Sec-Fetch-Site', 'same-origin')
        .set('Cookie', 'session=alice')
        .type('form')
        .send(again);
      expect([here.headers.location, ended]).toEqual([`${BYE}?state=a+b`, 1]);
      // Whoever has no session after that has none.
      const nobody = request(own.app).post(url).set('Sec-Fetch-Site', 'cross-site').type('form').send(again);
      expect((await nobody).headers.location).toBe(`${BYE}?state=a+b`);
    }
    const offered = await request(own.app)
      .get(url)
      .query({ client_id: 'web', post_logout_redirect_uri: BYE })
      .set('Sec-Fetch-Site', 'cross-site');
    expect(offered.text).not.toContain('signed out');
  });

  it('an expired hint is good enough', async () => {
    host.pass(100_000);
    expect((await logout({ id_token_hint: hint, post_logout_redirect_uri: BYE })).headers.location).toBe(BYE);
  });

  it.each<[string, (token: string) => Form]>([
    [
      'an unregistered URI',
      (token) => ({ id_token_hint: token, post_logout_redirect_uri: 'https://evil.example' }),
    ],
    [
      'a query added to a registered one',
      (token) => ({ id_token_hint: token, post_logout_redirect_uri: `${BYE}?x=1` }),
    ],
    [
      'a hint without a signature',
      (token) => ({
        id_token_hint: `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${token.split('.')[1]!}.`,
        post_logout_redirect_uri: BYE,
      }),
    ],
    [
      'an altered hint',
      (token) => ({
        id_token_hint: token.replace(/.{8}$/, 'AAAAAAAA'),
        post_logout_redirect_uri: BYE,
      }),
    ],
    ['nonsense for a hint', () => ({ id_token_hint: 'x', post_logout_redirect_uri: BYE })],
    [
      'a hint of another client',
      (token) => ({ id_token_hint: token, client_id: 'spa', post_logout_redirect_uri: BYE }),
    ],
    ['an unknown client', () => ({ client_id: 'nobody' })],
  ])('%s is an error page, and nobody is signed out', async (_name, query) => {
    const response = await logout(query(hint)).set('Accept', 'text/html');
    expect([response.status, response.headers.location, ended]).toEqual([400, undefined, 0]);
  });

  it('a hint that another server signed is refused', async () => {
    const { privateKey } = await joseKeyPair('RS256');
    const foreign = await new jose.SignJWT({ ...jose.decodeJwt(hint) })
      .setProtectedHeader(jose.decodeProtectedHeader(hint) as jose.JWTHeaderParameters)
      .sign(privateKey);
    expect((await logout({ id_token_hint: foreign, post_logout_redirect_uri: BYE })).status).toBe(400);
  });

  it('a session that cannot be ended is an error, not a lie', async () => {
    const broken = openidHost(variant, {
      endSession: () => {
        throw new Error('the session store is down');
      },
    });
    const response = await request(broken.app).get(`${broken.base}/logout`).set('Accept', 'text/html');
    const confirmation = /name="confirmation" value="([^"]+)"/.exec(response.text)![1]!;
    const answer = await request(broken.app)
      .post(`${broken.base}/logout`)
      .type('form')
      .send({ confirmation, decision: 'sign_out' });
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('session store');
  });
});

it('a store that fails leaves a session to try again with, and the clients are told then', async () => {
  let broken = true;
  const { adapter } = openidHost({ store: 'memory', mount: 'root' });
  const own: Host = openidHost(
    { store: 'memory', mount: 'root' },
    {
      adapter: {
        ...adapter,
        listGrants: (userId) => {
          if (broken) throw new Error('down');
          return adapter.listGrants!(userId);
        },
      },
      endSession: () => (own.user = undefined),
    },
  );
  own.user = { id: 'alice', sid: 'session-1' };
  const tokens = (await getTokens(own, 'web', { scope: 'openid' })) as Tokens & { id_token: string };
  const logout = (): request.Test =>
    request(own.app).get(`${own.base}/logout?id_token_hint=${tokens.id_token}`);
  expect((await logout()).status).toBe(503);
  expect(own.user).toBeDefined();
  broken = false;
  expect((await logout()).status).toBe(200);
  expect((await refresh(own, 'web', tokens.refresh_token)).body.error).toBe('invalid_grant');
});

describe.each(VARIANTS)('back-channel logout on $store at the $mount', (variant) => {
  let server: http.Server;
  let received: { path: string; body: URLSearchParams }[] = [];
  let host: Host;
  /** Sessions of the host. */
  let one = '';
  let two = '';

  beforeAll(async () => {
    server = http.createServer((req, res) => {
      let text = '';
      req.on('data', (chunk: Buffer) => (text += chunk.toString()));
      req.on('end', () => {
        received.push({ path: req.url ?? '', body: new URLSearchParams(text) });
        res.writeHead(req.url === '/broken' ? 500 : 204).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const [web, spa] = OPENID_CLIENTS;
    host = openidHost(variant, {
      clients: [
        { ...web!, backchannelLogoutUri: `${origin}/web` },
        { ...spa!, backchannelLogoutUri: `${origin}/broken`, idTokenSignedResponseAlg: 'ES256' },
        { ...CLIENTS.brief, scope: SCOPE, backchannelLogoutUri: `${origin}/brief` },
        { ...CLIENTS.post, scope: SCOPE },
      ],
      allowPrivateAddresses: true,
      endSession: () => (host.user = undefined),
    });
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));
  beforeEach(() => {
    received = [];
    host.events.length = 0;
    one = randomUUID();
    two = randomUUID();
    signInAs('alice', one);
  });

  function signInAs(id: string, sid: string): void {
    host.user = { id, sid, authTime: Math.floor(host.now / 1000) };
  }
  const tokens = (
    client: 'web' | 'spa' | 'brief' | 'post',
    scope = 'openid',
  ): Promise<Tokens & { id_token: string }> => getTokens(host, client, { scope }) as never;

  it('tells the clients of the session, and of no other', async () => {
    const web = await tokens('web');
    const brief = await tokens('brief');
    signInAs('alice', two);
    const elsewhere = await tokens('web');
    signInAs('bob', one);
    await tokens('web');
    signInAs('alice', one);
    await request(host.app).get(`${host.base}/logout?id_token_hint=${web.id_token}`);

    expect(received.map(({ path }) => path).sort()).toEqual(['/brief', '/web']);
    const logoutToken = received.find(({ path }) => path === '/web')!.body.get('logout_token')!;
    const { payload, header } = await verified(host, logoutToken, 'web');
    const iat = Math.floor(host.now / 1000);
    expect(header.typ).toBe('logout+jwt');
    expect(payload).toEqual({
      iss: host.issuer,
      sub: 'alice',
      aud: 'web',
      iat,
      exp: iat + 120,
      jti: expect.any(String) as string,
      sid: jose.decodeJwt(web.id_token).sid,
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    });
    expect(jose.decodeJwt(brief.id_token).sid).toBe(payload.sid);
    // What the session got is over; what another one got is not.
    expect((await refresh(host, 'web', web.refresh_token)).body.error).toBe('invalid_grant');
    expect(await isActive(host, web.access_token)).toBe(false);
    expect((await refresh(host, 'web', elsewhere.refresh_token)).status).toBe(200);
  });

  it('offline_access outlives the session', async () => {
    const offline = await tokens('web', SCOPE);
    await request(host.app).get(`${host.base}/logout?id_token_hint=${offline.id_token}`);
    expect(received).toHaveLength(1);
    expect((await refresh(host, 'web', offline.refresh_token)).status).toBe(200);
  });

  it('a client that has no refresh token can be told after its access token has expired', async () => {
    const brief = await tokens('brief');
    host.pass(7200);
    // Kept for that only: it is no connected app any more.
    const [grantId] = String(jose.decodeJwt(brief.access_token).jti).split('.');
    const shown = await host.oauth.listGrants('alice');
    expect(shown.map((grant) => grant.grantId)).not.toContain(grantId);
    await request(host.app).get(`${host.base}/logout?id_token_hint=${brief.id_token}`);
    expect(received.map(({ path }) => path)).toEqual(['/brief']);
    expect(await isActive(host, brief.access_token)).toBe(false);
  });

  it('a refresh token lives no longer for that', async () => {
    const [web] = OPENID_CLIENTS;
    const short = openidHost(variant, {
      clients: [{ ...web!, backchannelLogoutUri: 'https://app.example.com/logout' }],
      refreshTokens: { idleLifetime: 600, absoluteLifetime: 3600 },
    });
    short.user = { id: 'alice', sid: 's' };
    const idle = await getTokens(short, 'web', { scope: 'openid' });
    const active = await getTokens(short, 'web', { scope: 'openid' });
    short.pass(500);
    let { refresh_token: token } = (await refresh(short, 'web', active.refresh_token)).body as Tokens;
    short.pass(101);
    expect((await refresh(short, 'web', idle.refresh_token)).body.error).toBe('invalid_grant');
    expect(await isActive(short, idle.refresh_token)).toBe(false);
    for (let refreshed = 0; refreshed < 6; refreshed++) {
      short.pass(480);
      ({ refresh_token: token } = (await refresh(short, 'web', token)).body as Tokens);
    }
    short.pass(200);
    expect((await refresh(short, 'web', token)).body.error).toBe('invalid_grant');
  });

  it('a client that is not told any more keeps its refresh tokens, rotating or not', async () => {
    const [web] = OPENID_CLIENTS;
    for (const refreshTokenRotation of ['always', 'never'] as const) {
      const client = { ...web!, refreshTokenRotation };
      const told = { ...client, backchannelLogoutUri: 'https://app.example.com/logout' };
      const options = { refreshTokens: { idleLifetime: 86_400 } };
      const before = openidHost(variant, { ...options, clients: [told] });
      before.user = { id: 'alice', sid: 's' };
      let { refresh_token: token } = await getTokens(before, 'web', { scope: 'openid' });
      const after = openidHost(variant, { ...options, clients: [client], adapter: before.adapter });
      after.now = before.now;
      for (let day = 0; day < 3; day++) {
        after.pass(80_000);
        const { status, body } = await refresh(after, 'web', token);
        expect(status).toBe(200);
        token = (body as Tokens).refresh_token;
      }
    }
  });

  it('a record that cannot be read keeps nobody signed in', async () => {
    const own: Host = openidHost(variant, {
      adapter: {
        ...host.adapter,
        listGrants: async (userId) => [
          { id: 'x', generation: 1, clientId: 'web', expiresAt: 0, userId },
          null as never,
          ...(await host.adapter.listGrants!(userId)),
        ],
      },
      endSession: () => (own.user = undefined),
    });
    own.user = { id: 'alice', sid: one };
    const got = (await getTokens(own, 'web', { scope: 'openid' })) as Tokens & { id_token: string };
    expect((await request(own.app).get(`${own.base}/logout?id_token_hint=${got.id_token}`)).status).toBe(200);
    expect(own.user).toBeUndefined();
    expect((await refresh(own, 'web', got.refresh_token)).body.error).toBe('invalid_grant');
    expect(own.eventNames()).toContain('store.failed');
  });

  it('a client that cannot be told is an event, and nobody waits for nothing', async () => {
    const spa = await tokens('spa');
    const response = await request(host.app).get(`${host.base}/logout?id_token_hint=${spa.id_token}`);
    expect(response.text).toContain('You are signed out');
    const failed = host.events.filter(({ name }) => name === 'backchannel_logout.failed');
    expect(failed.map(({ event }) => event)).toEqual([
      { clientId: 'spa', userId: 'alice', cause: expect.any(Error) as Error },
    ]);
    expect(JSON.stringify(failed)).not.toContain(received[0]!.body.get('logout_token'));
  });

  it('the host’s own sign-out tells them too: one session, or all', async () => {
    await tokens('web');
    signInAs('alice', two);
    await tokens('brief');
    await host.oauth.signOut({ userId: 'alice', sid: two });
    expect(received.map(({ path }) => path)).toEqual(['/brief']);
    received = [];
    await host.oauth.signOut({ userId: 'alice' });
    expect(received.map(({ path }) => path)).toContain('/web');
    expect(jose.decodeJwt(received[0]!.body.get('logout_token')!)).not.toHaveProperty('sid');
    await expect(host.oauth.signOut({ userId: undefined as never })).rejects.toThrow(TypeError);
  });

  it('is not sent to loopback unless the host allows it', async () => {
    const { port } = server.address() as AddressInfo;
    const strict = openidHost(variant, {
      clients: [{ ...OPENID_CLIENTS[0]!, backchannelLogoutUri: `https://127.0.0.1:${port}/web` }],
      signingKeys: [EC],
    });
    strict.user = { id: 'alice', sid: 's' };
    await getTokens(strict, 'web', { scope: 'openid' });
    await strict.oauth.signOut({ userId: 'alice' });
    expect(received).toEqual([]);
    const [failed] = strict.events.filter(({ name }) => name === 'backchannel_logout.failed');
    expect(String(failed!.event.cause)).toContain('not a public address');
  });
});
