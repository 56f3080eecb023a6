import request from 'supertest';

import { oauth2Provider, OAuthError, type ClientOptions, type Provider } from 'express-oauth-router';

import { browser } from '../support/browser';
import {
  agentOf,
  callback,
  federatedHost,
  leave,
  providersOf,
  signIn,
  signInUpstream,
  startUpstreams,
  type FederatedHost,
  type Upstreams,
} from '../support/federation';
import {
  answerOf,
  authorizationForm,
  CALLBACK,
  claimsOf,
  CLIENTS,
  getTokens,
  ORDERS,
  pkce,
  post,
  redeem,
  refresh,
  VARIANTS,
  type Form,
} from '../support/host';
import { ALICE, OPENID_CLIENTS, SIGNING_KEYS } from '../support/openid';

const stateIn = (url: string): string => new URLSearchParams(url.split('?')[1]).get('state')!;

let upstreams: Upstreams;
beforeAll(async () => {
  upstreams = await startUpstreams();
});
afterAll(() => upstreams.stop());

const SECOND = 'https://app.example.com/second';
const CLIENTS_HERE: ClientOptions[] = [
  { ...CLIENTS.web, redirectUris: [CALLBACK, SECOND] },
  CLIENTS.spa,
  CLIENTS.third,
  CLIENTS.native,
];

describe.each(VARIANTS)('signing in through a provider ($store, $mount)', (variant) => {
  let host: FederatedHost;
  beforeEach(() => {
    host = federatedHost(variant, providersOf(upstreams), { clients: CLIENTS_HERE });
  });

  it('through OpenID Connect: a code of ours for who came back', async () => {
    const { response, verifier } = await signIn(host);
    expect(response.status).toBe(303);
    const answer = answerOf(response);
    expect(answer).toEqual({ code: expect.any(String), state: 'xyz', iss: host.issuer });
    expect(response.headers.location).toMatch(/^https:\/\/app\.example\.com\/callback\?/);
    const { body } = await redeem(host, 'web', { code: answer.code!, verifier });
    expect(claimsOf(body.access_token as string)).toMatchObject({ sub: 'acme-alice', client_id: 'web' });
    expect(body).toMatchObject({ is_new_user: true });
    expect(host.resolved).toHaveLength(1);
    expect(host.resolved[0]!.identity).toMatchObject({
      providerId: 'acme',
      issuer: upstreams.issuer,
      subject: 'alice',
      email: 'alice@example.com',
      emailVerified: true,
      name: 'Alice Upstream',
    });
    expect(host.events).toContainEqual({
      name: 'provider.signed_in',
      event: {
        clientId: 'web',
        userId: 'acme-alice',
        providerId: 'acme',
        type: 'authenticate',
        isNewUser: true,
      },
    });
  });

  it('through plain OAuth 2.0', async () => {
    const { response, verifier } = await signIn(host, { provider: 'plain' });
    const { body } = await redeem(host, 'web', { code: answerOf(response).code!, verifier });
    expect(claimsOf(body.access_token as string)).toMatchObject({ sub: 'plain-4711' });
    expect(host.resolved[0]!.identity).toMatchObject({
      subject: '4711',
      username: 'alice',
      email: 'alice@example.com',
      emailVerified: false,
      picture: 'https://x.example/a.png',
    });
  });

  it('leaves with PKCE, state and nonce of its own, and a cookie', async () => {
    const agent = agentOf(host);
    const left = await leave(host, agent, { more: { login_hint: 'al', ui_locales: 'de', prompt: 'login' } });
    expect(left.status).toBe(302);
    expect(left.headers['cache-control']).toBe('no-store');
    expect(left.headers['referrer-policy']).toBe('no-referrer');
    const url = new URL(left.headers.location!);
    expect(url.origin).toBe(upstreams.issuer);
    const { state, nonce, code_challenge: challenge, ...rest } = Object.fromEntries(url.searchParams);
    expect(rest).toEqual({
      client_id: 'our-server',
      response_type: 'code',
      redirect_uri: `${host.issuer}/callback/acme`,
      scope: 'openid profile email',
      code_challenge_method: 'S256',
      login_hint: 'al',
      ui_locales: 'de',
      prompt: 'login',
      max_age: '0',
    });
    expect([state, nonce, challenge].map((value) => value?.length)).toEqual([43, 43, 43]);
    expect(state).not.toBe('xyz');
    const [cookie] = left.headers['set-cookie'] as unknown as string[];
    expect(cookie).toMatch(
      new RegExp(`^oauth-${state!.slice(0, 8)}=[\\w-]{22}; Max-Age=1200; Path=/; .*HttpOnly; SameSite=Lax$`),
    );
    const next = await leave(host, agent);
    expect(new URL(next.headers.location!).searchParams.get('state')).not.toBe(state);
  });

  it('`connection` is another name of the path', async () => {
    const agent = agentOf(host);
    const at = (path: string, more: Form): request.Test =>
      agent
        .get(`${host.base}${path}?${new URLSearchParams(authorizationForm('web', pkce(), more)).toString()}`)
        .set('Accept', 'application/json');
    expect((await at('/authorize', { connection: 'acme' })).headers.location).toMatch(upstreams.issuer);
    const both = await at('/authorize/acme', { connection: 'plain' });
    expect([both.status, both.headers.location]).toEqual([400, undefined]);
    const posted = await agent
      .post(`${host.base}/authorize/acme`)
      .type('form')
      .send(authorizationForm('web', pkce()));
    expect([posted.status, new URL(posted.headers.location!).origin]).toEqual([303, upstreams.issuer]);
  });

  it('works for a pushed request, and in two tabs at once', async () => {
    const agent = agentOf(host);
    const pair = pkce();
    const { client_id: _, ...form } = authorizationForm('web', pair, { connection: 'acme' });
    const { body } = await post(host, '/par', 'web', form);
    const query = new URLSearchParams({ client_id: 'web', request_uri: body.request_uri as string });
    const first = await agent.get(`${host.base}/authorize?${query.toString()}`);
    const second = await signIn(host, { agent, login: 'mallory' });
    expect(answerOf(second.response)).toHaveProperty('code');
    const back = await signInUpstream(host, first.headers.location!);
    const answer = answerOf(await callback(agent, back));
    const tokens = await redeem(host, 'web', { code: answer.code!, verifier: pair.verifier });
    expect(claimsOf(tokens.body.access_token as string).sub).toBe('acme-alice');
    // Spent, like every pushed request.
    const again = await agent.get(`${host.base}/authorize?${query.toString()}`);
    expect(again.status).toBe(400);
  });

  describe('login CSRF and replay (RFC 9700 §4.7)', () => {
    it('a callback in another browser is refused, and uses nothing up', async () => {
      const agent = agentOf(host);
      const back = await signInUpstream(host, (await leave(host, agent)).headers.location!);
      const victim = await callback(agentOf(host), back);
      expect([victim.status, victim.headers.location]).toEqual([400, undefined]);
      expect(victim.body).toMatchObject({ error: 'invalid_request' });
      const page = await request(host.app).get(back).set('Accept', 'text/html');
      expect([page.status, page.type]).toEqual([400, 'text/html']);
      const forged = await request(host.app)
        .get(back)
        .set('Cookie', `oauth-${stateIn(back).slice(0, 8)}=${'A'.repeat(22)}`);
      expect(forged.status).toBe(400);
      expect(host.resolved).toHaveLength(0);
      expect(answerOf(await callback(agent, back))).toHaveProperty('code');
    });

    it('a state is good once, also for many at once', async () => {
      const agent = agentOf(host);
      const left = await leave(host, agent);
      const back = await signInUpstream(host, left.headers.location!);
      const cookie = left.headers['set-cookie']![0]!.split(';')[0]!;
      const at = (): request.Test => request(host.app).get(back).set('Cookie', cookie);
      const answers = await Promise.all(Array.from({ length: 10 }, () => at()));
      expect(answers.filter(({ status }) => status === 303)).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 400)).toHaveLength(9);
      expect((await at()).status).toBe(400);
      expect(host.resolved).toHaveLength(1);
    });

    it('after ten minutes the app is told', async () => {
      const agent = agentOf(host);
      const back = await signInUpstream(host, (await leave(host, agent)).headers.location!);
      host.pass(600);
      const response = await callback(agent, back);
      expect(answerOf(response)).toEqual({
        error: 'access_denied',
        error_description: 'The transaction expired',
        state: 'xyz',
        iss: host.issuer,
      });
      expect(host.resolved).toHaveLength(0);
    });

    it('the cookie is cleared when the sign-in is over', async () => {
      const { response } = await signIn(host);
      expect(response.headers['set-cookie']![0]).toMatch(
        /^oauth-[\w-]{8}=; Path=\/; Expires=Thu, 01 Jan 1970/,
      );
    });

    it('a callback under another provider is refused before anybody is asked', async () => {
      const agent = agentOf(host);
      const back = await signInUpstream(host, (await leave(host, agent)).headers.location!);
      const response = await callback(agent, back.replace('/callback/acme', '/callback/plain'));
      expect([response.status, response.headers.location]).toEqual([400, undefined]);
      expect((await callback(agent, back.replace('/callback/acme', '/callback/nobody'))).status).toBe(400);
      expect(host.resolved).toHaveLength(0);
      expect(host.eventNames()).not.toContain('provider.failed');
    });

    it.each(['?state=unknown', '', '?code=x', `?state=${'A'.repeat(43)}&code=x`])(
      'a callback with "%s" is an error page',
      async (query) => {
        const response = await callback(agentOf(host), `${host.base}/callback/acme${query}`);
        expect([response.status, response.headers.location]).toEqual([400, undefined]);
      },
    );
  });

  it('a pushed request says itself which provider it is for, and its token is not stored in the clear', async () => {
    const { client_id: _, ...form } = authorizationForm('web', pkce());
    const { body } = await post(host, '/par', 'web', { ...form, token: 'a-token-in-the-clear' });
    const query = new URLSearchParams({ client_id: 'web', request_uri: body.request_uri as string });
    const other = await request(host.app).get(`${host.base}/authorize/acme?${query.toString()}`);
    expect([other.status, other.headers.location]).toEqual([400, undefined]);
    const stored = await host.adapter.get(`pushed:${(body.request_uri as string).split(':').at(-1)!}`);
    expect(stored).toEqual(expect.any(String));
    expect(stored).not.toContain('a-token');
    // What names no provider has no use for a token, and does not keep it.
    host.user = undefined;
    const away = await request(host.app).get(`${host.base}/authorize?${query.toString()}`);
    expect(away.headers.location).toMatch(/^\/login/);
  });

  it('keeps ten cookies, the new one included, and no long request', async () => {
    const many = Array.from({ length: 30 }, (_unused, index) => `oauth-old${10000 + index}=x`).join('; ');
    const left = await leave(host, agentOf(host)).set('Cookie', `session=1; ${many}`);
    const cookies = left.headers['set-cookie'] as unknown as string[];
    expect(cookies.filter((cookie) => cookie.includes('Expires=Thu, 01 Jan 1970'))).toHaveLength(21);
    expect(cookies.some((cookie) => cookie.startsWith('session'))).toBe(false);
    const long = await request(host.app)
      .post(`${host.base}/authorize/acme`)
      .type('form')
      .send(
        authorizationForm('web', pkce(), {
          nonce: 'x'.repeat(8000),
          state: 'y'.repeat(8000),
          login_hint: 'z'.repeat(4000),
        }),
      );
    expect(answerOf(long)).toMatchObject({ error: 'invalid_request' });
  });

  it('a request object that is wrong is told to the client, whatever the path says', async () => {
    const { status, headers } = await leave(host, agentOf(host), { more: { request: 'garbage' } });
    expect([status, headers.location]).toEqual([
      302,
      expect.stringContaining('error=invalid_request_object'),
    ]);
  });

  it('the patterns of the paths are no paths', async () => {
    expect((await request(host.app).get(`${host.base}/authorize/:provider_id`)).status).toBe(404);
    expect((await request(host.app).get(`${host.base}/callback`)).status).toBe(404);
  });

  describe('what can be refused is refused before the browser leaves', () => {
    it.each([
      ['an unknown client', { client_id: 'nobody' }],
      ['no client', { client_id: '' }],
      ['a redirect_uri that is no URL', { redirect_uri: 'callback' }],
      ['a foreign redirect_uri', { redirect_uri: 'https://evil.example/cb' }],
      ['a redirect_uri with a path of its own', { redirect_uri: `${CALLBACK}/../x` }],
      ['a redirect_uri with a fragment', { redirect_uri: `${CALLBACK}#x` }],
      ['a foreign error_redirect_uri', { error_redirect_uri: 'https://evil.example/cb' }],
      ['a foreign error_redirect_url', { error_redirect_url: 'https://evil.example/cb' }],
      ['an error_redirect_uri that is no place', { error_redirect_uri: 'urn:ietf:wg:oauth:2.0:oob' }],
      ['an error_redirect_uri that runs script', { error_redirect_uri: 'javascript:alert(1)' }],
      ['two error URIs that differ', { error_redirect_uri: CALLBACK, error_redirect_url: SECOND }],
      ['a foreign after_callback_redirect_url', { after_callback_redirect_url: 'https://evil.example' }],
      ['an after_callback_redirect_url that is none', { after_callback_redirect_url: 'dashboard' }],
      ['a real secret in the query', { client_secret: 'web-secret' }],
      ['another connection than the path', { connection: 'plain' }],
    ])('%s: an error page, never a redirect', async (_what, more) => {
      const response = await leave(host, agentOf(host), { more });
      expect([response.status, response.headers.location]).toEqual([400, undefined]);
      expect(response.body).toMatchObject({ error: 'invalid_request' });
      expect(response.headers['set-cookie']).toBeUndefined();
    });

    it.each([
      ['response_type=token', { response_type: 'token' }, 'unsupported_response_type'],
      ['no response_type', { response_type: undefined }, 'invalid_request'],
      ['no challenge', { code_challenge: undefined }, 'invalid_request'],
      ['plain', { code_challenge_method: 'plain' }, 'invalid_request'],
      ['another grant_type', { grant_type: 'password' }, 'invalid_request'],
      ['an unknown type', { type: 'merge' }, 'invalid_request'],
      ['link without a token', { type: 'link' }, 'invalid_request'],
      ['link with an empty token', { type: 'link', token: '' }, 'invalid_request'],
      ['a token that is none, to sign in', { token: 'forged' }, 'login_required'],
      ['a challenge that is too short', { code_challenge: 'short' }, 'invalid_request'],
      ['a token that is none', { type: 'link', token: 'forged' }, 'login_required'],
      ['a foreign scope', { scope: 'admin' }, 'invalid_scope'],
      ['a provider_scope outside the list', { provider_scope: 'calendar' }, 'invalid_scope'],
      ['prompt=none', { prompt: 'none' }, 'login_required'],
    ])('%s: told to the client', async (_what, more, error) => {
      const response = await leave(host, agentOf(host), {
        more: { ...more, error_redirect_uri: SECOND },
      });
      expect(response.status).toBe(302);
      expect(response.headers.location).toMatch(`${CALLBACK}?`);
      expect(answerOf(response)).toMatchObject({ error, state: 'xyz', iss: host.issuer });
      expect(response.headers['set-cookie']).toBeUndefined();
    });

    it('an unknown provider: the client learns its name', async () => {
      const response = await leave(host, agentOf(host), { provider: 'nobody' });
      expect(answerOf(response)).toMatchObject({
        error: 'invalid_request',
        error_description: 'The provider nobody is unknown',
        state: 'xyz',
      });
    });

    it('a pushed request is checked when it is pushed', async () => {
      const push = async (more: Form): Promise<unknown> => {
        const { client_id: _, ...form } = authorizationForm('web', pkce(), { connection: 'acme', ...more });
        return ((await post(host, '/par', 'web', form)).body as { error?: string }).error;
      };
      expect(await push({ connection: 'nobody' })).toBe('invalid_request');
      expect(await push({ after_callback_redirect_url: 'https://evil.example' })).toBe('invalid_request');
      expect(await push({ provider_scope: 'calendar' })).toBe('invalid_scope');
      expect(await push({ type: 'link' })).toBe('invalid_request');
    });
  });

  it('error_redirect_uri gets whatever goes wrong after the browser has left', async () => {
    const more = { error_redirect_uri: SECOND };
    const refusing = federatedHost(variant, providersOf(upstreams), {
      clients: CLIENTS_HERE,
      federation: { resolveUser: () => undefined },
    });
    const refused = (await signIn(refusing, { more })).response;
    const agent = agentOf(host);
    const back = await signInUpstream(host, (await leave(host, agent, { more })).headers.location!);
    host.pass(1199);
    const late = await callback(agent, back);
    const asked = await signIn(host, { more: { ...more, prompt: 'consent' } });
    const sealed = /name="request" value="([^"]+)"/.exec(asked.response.text)![1]!;
    const denied = await asked.agent
      .post(`${host.base}/consent`)
      .type('form')
      .send({ request: sealed, decision: 'deny' });
    for (const response of [refused, late, denied]) {
      expect([response.status, response.headers.location]).toEqual([
        303,
        expect.stringMatching(`^${SECOND}\\?`),
      ]);
      expect(answerOf(response)).toMatchObject({ error: 'access_denied', state: 'xyz', iss: host.issuer });
    }
  });

  it('a posted callback that nobody waits for is an error page', async () => {
    const response = await request(host.app)
      .post(`${host.base}/callback/acme`)
      .set('Accept', 'text/html')
      .type('form')
      .send({ state: 'A'.repeat(43), code: 'x' });
    expect([response.status, response.type, response.headers.location]).toEqual([
      400,
      'text/html',
      undefined,
    ]);
  });

  it('an unknown provider changes nothing for a foreign redirect_uri', async () => {
    const more = { redirect_uri: 'https://evil.example/cb' };
    const response = await leave(host, agentOf(host), { provider: 'nobody', more });
    expect([response.status, response.headers.location]).toEqual([400, undefined]);
  });

  it('publishable keys are asked for here, too', async () => {
    host = federatedHost(variant, providersOf(upstreams), {
      clients: [
        { ...CLIENTS.spa, publishableKeys: ['pk'], requirePublishableKey: true, publishableKeyInQuery: true },
      ],
    });
    const at = async (more: Form): Promise<unknown> => {
      const { status, body, headers } = await leave(host, agentOf(host), { client: 'spa', more });
      return status === 302 ? new URL(headers.location!).origin : [status, (body as Form).error];
    };
    expect(await at({ client_secret: 'pk' })).toBe(upstreams.issuer);
    expect(await at({})).toEqual([401, 'invalid_client']);
    expect(await at({ client_secret: 'wrong' })).toEqual([401, 'invalid_client']);
  });

  it('a user who denies at the provider: the client is told, at error_redirect_uri if there is one', async () => {
    for (const more of [{}, { error_redirect_uri: SECOND }]) {
      const agent = agentOf(host);
      const left = await leave(host, agent, { more });
      const state = new URL(left.headers.location!).searchParams.get('state')!;
      const denied = new URLSearchParams({
        error: 'access_denied',
        error_description: 'no',
        state,
        iss: upstreams.issuer,
      });
      const response = await callback(agent, `${host.base}/callback/acme?${denied.toString()}`);
      expect(response.status).toBe(303);
      expect(response.headers.location).toMatch(`${more.error_redirect_uri ?? CALLBACK}?`);
      expect(answerOf(response)).toMatchObject({ error: 'access_denied', state: 'xyz', iss: host.issuer });
    }
    expect(host.eventNames()).not.toContain('provider.failed');
  });

  it('a code that the provider does not know: access_denied, with state', async () => {
    const agent = agentOf(host);
    const back = await signInUpstream(host, (await leave(host, agent)).headers.location!);
    const response = await callback(agent, back.replace(/code=[^&]+/, 'code=injected'));
    expect(answerOf(response)).toMatchObject({ error: 'access_denied', state: 'xyz' });
    expect(host.resolved).toHaveLength(0);
  });

  it('a provider’s code of another sign-in is refused by its PKCE (code injection)', async () => {
    const [attacker, victim] = [agentOf(host), agentOf(host)];
    const stolen = await signInUpstream(host, (await leave(host, attacker)).headers.location!, 'mallory');
    const own = await signInUpstream(host, (await leave(host, victim)).headers.location!);
    const code = new URLSearchParams(stolen.split('?')[1]).get('code')!;
    const response = await callback(victim, own.replace(/code=[^&]+/, `code=${code}`));
    expect(answerOf(response)).toMatchObject({ error: 'access_denied' });
    expect(host.resolved).toHaveLength(0);
  });

  it('asks for consent where the client is not the host’s own, of who has just signed in', async () => {
    const { response, agent, verifier } = await signIn(host, { client: 'third' });
    expect(response.status).toBe(200);
    expect(response.text).toContain('acme-alice');
    const sealed = /name="request" value="([^"]+)"/.exec(response.text)![1]!;
    const decide = (at: ReturnType<typeof agentOf>): request.Test =>
      at.post(`${host.base}/consent`).type('form').send({ request: sealed, decision: 'allow' });
    // Not in a browser that did not sign in.
    const elsewhere = await decide(agentOf(host));
    expect(answerOf(elsewhere)).toMatchObject({ error: 'access_denied', state: 'xyz' });
    const allowed = await decide(agent);
    const { code } = answerOf(allowed);
    expect(allowed.status).toBe(303);
    const { body } = await redeem(host, 'third', { code: code!, verifier });
    expect(claimsOf(body.access_token as string).sub).toBe('acme-alice');
    // The cookie is gone, and with it the sign-in; and what was parked is spent.
    expect(answerOf(await decide(agent))).not.toHaveProperty('code');
  });

  it('a host’s own session, started by resolveUser, is there afterwards', async () => {
    const own = federatedHost(variant, providersOf(upstreams), {
      federation: {
        resolveUser: (identity, { response, request: { path } }) => {
          response.cookie('session', `of ${identity.subject} by ${path}`);
          return { id: identity.subject, authTime: 1000 };
        },
      },
    });
    const { response } = await signIn(own);
    expect(response.headers['set-cookie']).toContainEqual(expect.stringMatching(/^session=of%20alice/));
    expect(answerOf(response)).toHaveProperty('code');
  });

  it('a resolveUser that responds and then fails is reported once, with its error', async () => {
    const own = federatedHost(variant, providersOf(upstreams), {
      federation: {
        resolveUser: (_identity, { response }) => {
          response.status(200).send('a page of the host');
          throw new Error('too late');
        },
      },
    });
    const { response } = await signIn(own);
    expect(response.text).toBe('a page of the host');
    const failed = own.events.filter(({ name }) => name === 'server.failed');
    expect(failed).toEqual([
      { name: 'server.failed', event: { endpoint: 'callback', cause: new Error('too late') } },
    ]);
    expect(own.eventNames().filter((name) => name === 'request.refused')).toHaveLength(1);
  });

  it('an identity may be in a list of the profile, and the other names keep their defaults', async () => {
    const userinfo = (): Promise<object> =>
      Promise.resolve({ data: [{ id: 'tw1' }], email: 'alice@example.com', email_verified: true });
    const claims = { subject: 'data.0.id', email: undefined };
    const more = { userinfo, claims, responseMode: 'query', trustEmailVerified: true };
    const { plain } = providersOf(upstreams);
    const own = federatedHost(variant, { plain: { ...plain!, ...more } as Provider });
    const left = await leave(own, agentOf(own), { provider: 'plain' });
    expect(new URL(left.headers.location!).searchParams.get('response_mode')).toBe('query');
    await signIn(own, { provider: 'plain' });
    expect(own.resolved[0]!.identity).toMatchObject({
      subject: 'tw1',
      email: 'alice@example.com',
      emailVerified: true,
    });
  });

  it('resolveUser may refuse, with an error of its own, by nobody, or by throwing', async () => {
    const answers = [
      () => {
        throw new OAuthError('access_denied', 'Sign-up is closed', {
          members: { error_code: 'sign_up_closed' },
        });
      },
      () => undefined,
      () => {
        throw new Error('a secret of the database');
      },
    ];
    const seen: Record<string, string>[] = [];
    for (const resolveUser of answers) {
      const own = federatedHost(variant, providersOf(upstreams), { federation: { resolveUser } });
      seen.push(answerOf((await signIn(own)).response));
    }
    expect(seen).toEqual([
      expect.objectContaining({
        error: 'access_denied',
        error_description: 'Sign-up is closed',
        error_code: 'sign_up_closed',
        state: 'xyz',
      }),
      expect.objectContaining({ error: 'access_denied', state: 'xyz' }),
      expect.objectContaining({ error: 'server_error', state: 'xyz' }),
    ]);
    expect(JSON.stringify(seen)).not.toContain('database');
  });

  describe('linking', () => {
    let accessToken: string;
    beforeEach(async () => {
      host.user = { id: 'bob' };
      accessToken = (await getTokens(host, 'web')).access_token;
    });

    async function ticket(token = accessToken): Promise<request.Response> {
      return request(host.app).post(`${host.base}/link_tickets`).set('Authorization', `Bearer ${token}`);
    }

    it('a ticket says to whom, without a session at the host', async () => {
      const { body, status, headers } = await ticket();
      expect([status, headers['cache-control'], body.expires_in]).toEqual([200, 'no-store', 60]);
      host.user = undefined;
      const { response, verifier } = await signIn(host, {
        more: { type: 'link', token: body.ticket as string, after_callback_redirect_url: SECOND },
      });
      const tokens = await redeem(host, 'web', { code: answerOf(response).code!, verifier });
      expect(claimsOf(tokens.body.access_token as string).sub).toBe('bob');
      expect(tokens.body).toMatchObject({ after_callback_redirect_url: SECOND });
      expect(host.resolved[0]!.context).toMatchObject({ type: 'link', currentUser: { id: 'bob' } });
      const refreshed = await refresh(host, 'web', tokens.body.refresh_token as string);
      expect(refreshed.body).not.toHaveProperty('is_new_user');
      expect(refreshed.body).not.toHaveProperty('after_callback_redirect_url');
    });

    it('`token` without link says who is at the app, for a host that upgrades guests', async () => {
      const { body } = await ticket();
      await signIn(host, { more: { token: body.ticket as string } });
      expect(host.resolved[0]!.context).toMatchObject({
        type: 'authenticate',
        currentUser: { id: 'bob' },
      });
    });

    const linkWith = async (token: string, more: Form = {}): Promise<Record<string, string>> =>
      answerOf(await leave(host, agentOf(host), { more: { type: 'link', token, ...more } }));

    it('a ticket is good once, for a minute, for its client', async () => {
      const { body } = await ticket();
      const used = body.ticket as string;
      expect(await linkWith(used)).toHaveProperty('nonce');
      expect(await linkWith(used)).toMatchObject({ error: 'login_required', state: 'xyz' });

      const late = (await ticket()).body.ticket as string;
      host.pass(60);
      expect(await linkWith(late)).toMatchObject({ error: 'login_required' });

      const own = (await ticket()).body.ticket as string;
      const foreign = answerOf(
        await leave(host, agentOf(host), { client: 'spa', more: { type: 'link', token: own } }),
      );
      expect(foreign).toMatchObject({ error: 'access_denied' });
      expect(await linkWith(own)).toHaveProperty('nonce');
    });

    it('a provider_scope that is refused uses no ticket up; an opaque token gets one, too', async () => {
      host = federatedHost(variant, providersOf(upstreams), {
        clients: CLIENTS_HERE,
        accessTokenFormat: 'opaque',
      });
      host.user = { id: 'bob' };
      const { access_token: opaque } = await getTokens(host, 'web');
      const { body } = await ticket(opaque);
      const used = body.ticket as string;
      expect(await linkWith(used, { provider_scope: 'calendar' })).toMatchObject({ error: 'invalid_scope' });
      expect(await linkWith(used)).toHaveProperty('nonce');
    });

    it('of many who use a ticket at once one leaves', async () => {
      const { body } = await ticket();
      const answers = await Promise.all(Array.from({ length: 8 }, () => linkWith(body.ticket as string)));
      expect(answers.filter(({ nonce }) => nonce !== undefined)).toHaveLength(1);
    });

    it('a ticket of another tenant is refused, and so is one with its name on it', async () => {
      const other = federatedHost(variant, providersOf(upstreams), {
        issuer: `http://localhost:3000/other${host.base}`,
        clients: CLIENTS_HERE,
      });
      const theirs = other.oauth.issueAccessToken({ subject: 'bob', clientId: 'web' });
      const { body } = await request(other.app)
        .post(`${other.base}/link_tickets`)
        .set('Authorization', `Bearer ${theirs}`);
      const foreign = body.ticket as string;
      expect(await linkWith(foreign)).toMatchObject({ error: 'access_denied' });
      const [tag] = ((await ticket()).body.ticket as string).split('.');
      expect(await linkWith(`${tag!}.${foreign.split('.')[1]!}`)).toMatchObject({ error: 'login_required' });
    });

    it('an access token is no ticket, unless the host says so', async () => {
      expect(await linkWith(accessToken)).toMatchObject({ error: 'login_required' });
      const own = federatedHost(variant, providersOf(upstreams), {
        federation: { linkWithAccessTokens: true },
        clients: CLIENTS_HERE,
      });
      own.user = { id: 'bob' };
      const tokens = await getTokens(own, 'web');
      const using = async (token: string): Promise<Record<string, string>> =>
        answerOf(await leave(own, agentOf(own), { more: { type: 'link', token } }));
      expect(await using(tokens.access_token)).toHaveProperty('nonce');
      const others = own.oauth.issueAccessToken({ subject: 'bob', clientId: 'web', audience: ORDERS });
      expect(await using(others)).toMatchObject({ error: 'login_required' });
      const thirds = own.oauth.issueAccessToken({ subject: 'bob', clientId: 'third' });
      expect(await using(thirds)).toMatchObject({ error: 'access_denied' });
      const machines = own.oauth.issueAccessToken({ subject: 'web', clientId: 'web' });
      expect(await using(machines)).toMatchObject({ error: 'login_required' });
      const elsewhere = federatedHost(variant, {}, { issuer: 'http://localhost:4000' });
      const foreign = elsewhere.oauth.issueAccessToken({ subject: 'bob', clientId: 'web' });
      expect(await using(foreign)).toMatchObject({ error: 'access_denied' });
      const brief = own.oauth.issueAccessToken({ subject: 'bob', clientId: 'web', lifetime: 10 });
      own.pass(10);
      expect(await using(brief)).toMatchObject({ error: 'login_required' });
      await post(own, '/revoke', 'web', { token: tokens.access_token });
      expect(await using(tokens.access_token)).toMatchObject({ error: 'login_required' });
    });

    it('a ticket gives no other audience, no claims, and no fresh sign-in, also to a guest', async () => {
      const narrow = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web', scope: 'profile' });
      const fresh = async (): Promise<string> => (await ticket(narrow)).body.ticket as string;
      expect(await linkWith(await fresh(), { resource: ORDERS })).toMatchObject({ error: 'invalid_target' });
      host.user = undefined;
      for (const type of ['link', undefined]) {
        const { response, verifier } = await signIn(host, { more: { type, token: await fresh() } });
        const { body } = await redeem(host, 'web', { code: answerOf(response).code!, verifier });
        expect(body).toMatchObject({ scope: 'profile' });
        expect(claimsOf(body.access_token as string)).not.toHaveProperty('auth_time');
      }
      const hint = await linkWith(await fresh(), {
        claims: JSON.stringify({ id_token: { sub: { value: 'somebody else' } } }),
      });
      expect(hint).toMatchObject({ error: 'login_required' });
    });

    it('a link is for no single claim that the token could not have', async () => {
      host = federatedHost(variant, providersOf(upstreams), {
        clients: OPENID_CLIENTS,
        signingKeys: SIGNING_KEYS,
        userClaims: () => ALICE,
      });
      const narrow = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web', scope: 'openid' });
      const { body } = await ticket(narrow);
      const claims = JSON.stringify({ id_token: { email: null }, userinfo: { email: null, name: null } });
      const { response, verifier } = await signIn(host, {
        more: { type: 'link', token: body.ticket as string, claims },
      });
      const tokens = await redeem(host, 'web', { code: answerOf(response).code!, verifier });
      expect(tokens.body).toMatchObject({ scope: 'openid' });
      expect(claimsOf(tokens.body.id_token as string)).not.toHaveProperty('email');
      const userinfo = await request(host.app)
        .get(`${host.base}/userinfo`)
        .set('Authorization', `Bearer ${tokens.body.access_token as string}`);
      expect(Object.keys(userinfo.body as object)).toEqual(['https://example.com/role', 'sub']);
    });

    it('what a request wants of its user must hold for who links, before the browser leaves', async () => {
      const authTime = Math.floor(host.now / 1000) - 100;
      host.user = { id: 'bob', authTime, acr: 'low' };
      const { access_token: token } = await getTokens(host, 'web');
      const fresh = async (): Promise<string> => (await ticket(token)).body.ticket as string;
      for (const more of [
        { max_age: '50' },
        { prompt: 'login' },
        { claims: JSON.stringify({ id_token: { acr: { essential: true, value: 'high' } } }) },
      ]) {
        expect(await linkWith(await fresh(), more)).toMatchObject({ error: 'login_required' });
      }
      expect(host.resolved).toHaveLength(0);
      host.user = undefined;
      const { response, verifier } = await signIn(host, {
        more: { type: 'link', token: await fresh(), max_age: '500' },
      });
      const { body } = await redeem(host, 'web', { code: answerOf(response).code!, verifier });
      expect(claimsOf(body.access_token as string)).toMatchObject({ auth_time: authTime, acr: 'low' });
    });

    it('what a link may have is what is asked for on the consent page', async () => {
      const narrow = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web', scope: 'profile' });
      const { body } = await ticket(narrow);
      host.user = undefined;
      const { response } = await signIn(host, {
        more: { type: 'link', token: body.ticket as string, prompt: 'consent' },
      });
      expect(response.text).toContain('See your name and profile');
      expect(response.text).not.toContain('See your orders');
    });

    it('linkScope is what a token needs for it', async () => {
      host = federatedHost(variant, providersOf(upstreams), {
        clients: CLIENTS_HERE,
        federation: { linkScope: 'profile orders:write', linkWithAccessTokens: true },
      });
      const issue = (scope: string): string =>
        host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web', scope });
      const poor = await ticket(issue('profile'));
      expect([poor.status, poor.body]).toMatchObject([403, { error: 'insufficient_scope' }]);
      expect((await ticket(issue('orders:write profile'))).status).toBe(200);
      expect(await linkWith(issue('profile'))).toMatchObject({ error: 'login_required' });
      expect(await linkWith(issue('orders:write profile'))).toHaveProperty('nonce');
    });

    it('a resolveUser that gives somebody else for a link is a mistake', async () => {
      host = federatedHost(variant, providersOf(upstreams), {
        clients: CLIENTS_HERE,
        federation: { resolveUser: () => ({ id: 'somebody else' }) },
      });
      const own = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web' });
      const { body } = await ticket(own);
      const { response } = await signIn(host, { more: { type: 'link', token: body.ticket as string } });
      expect(answerOf(response)).toMatchObject({ error: 'server_error', state: 'xyz' });
    });

    it('a ticket gives no more than the token that it was given for', async () => {
      const narrow = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web', scope: 'profile' });
      const { body } = await ticket(narrow);
      const { response, verifier } = await signIn(host, {
        more: { type: 'link', token: body.ticket as string, scope: 'profile orders:read' },
      });
      const tokens = await redeem(host, 'web', { code: answerOf(response).code!, verifier });
      expect(tokens.body).toMatchObject({ scope: 'profile' });
    });

    it('a token for another API, or of a user who is gone, gives no ticket', async () => {
      const orders = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web', audience: ORDERS });
      expect((await ticket(orders)).status).toBe(401);
      host = federatedHost(variant, providersOf(upstreams), {
        clients: CLIENTS_HERE,
        loadUser: () => undefined,
      });
      const gone = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web' });
      const refused = await ticket(gone);
      expect([refused.status, refused.body]).toMatchObject([401, { error: 'invalid_token' }]);
      host = federatedHost(variant, providersOf(upstreams), {
        clients: CLIENTS_HERE,
        loadUser: () => undefined,
        federation: { linkWithAccessTokens: true },
      });
      const bare = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web' });
      expect(await linkWith(bare)).toMatchObject({ error: 'login_required', state: 'xyz' });
    });

    it('a ticket of somebody else’s, in a link, is refused for who is signed in', async () => {
      const { body } = await ticket();
      host.user = { id: 'victim' };
      expect(await linkWith(body.ticket as string)).toMatchObject({ error: 'access_denied', state: 'xyz' });
      host.user = { id: 'bob' };
      expect(await linkWith(body.ticket as string)).toHaveProperty('nonce');
    });

    it('a link never becomes a sign-in: not after a denial, and not in another browser', async () => {
      const clients = [{ ...CLIENTS.web, firstParty: true }];
      host = federatedHost(variant, providersOf(upstreams), { clients });
      const token = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web', scope: 'profile' });
      const { body } = await ticket(token);
      const { response, agent } = await signIn(host, {
        more: { type: 'link', token: body.ticket as string, prompt: 'consent' },
      });
      const sealed = /name="request" value="([^"]+)"/.exec(response.text)![1]!;
      const decide = async (at: ReturnType<typeof agentOf>, decision: string): Promise<Form> =>
        answerOf(await at.post(`${host.base}/consent`).type('form').send({ request: sealed, decision }));
      expect(await decide(agentOf(host), 'allow')).toMatchObject({ error: 'access_denied' });
      expect(await decide(agent, 'deny')).toMatchObject({ error: 'access_denied' });
      expect(await decide(agent, 'allow')).toMatchObject({ error: 'access_denied' });
      expect(host.resolved).toHaveLength(1);
    });

    it('tickets are for users of first-party clients, with a good token', async () => {
      const thirds = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'third' });
      expect((await ticket(thirds)).status).toBe(403);
      const machines = host.oauth.issueAccessToken({ subject: 'web', clientId: 'web' });
      expect((await ticket(machines)).status).toBe(401);
      expect((await ticket('forged')).status).toBe(401);
      const bare = await request(host.app).post(`${host.base}/link_tickets`);
      expect([bare.status, bare.headers['www-authenticate']]).toEqual([401, 'Bearer']);
      await host.oauth.revokeGrants({ userId: 'bob' });
      expect((await ticket()).status).toBe(401);
    });
  });
});

describe('the provider’s own scope, and what clients may add', () => {
  const extra = (allowExtraScopes: unknown): Promise<string[]> =>
    Promise.all(
      ['calendar', 'calendar admin', ''].map(async (scope) => {
        const host = federatedHost(VARIANTS[0]!, providersOf(upstreams, { allowExtraScopes }));
        const answer = answerOf(await leave(host, agentOf(host), { more: { provider_scope: scope } }));
        return answer.error ?? answer.scope!;
      }),
    );

  it.each([
    [false, ['invalid_scope', 'invalid_scope', 'openid profile email']],
    [true, ['openid profile email calendar', 'openid profile email calendar admin', 'openid profile email']],
    [['calendar'], ['openid profile email calendar', 'invalid_scope', 'openid profile email']],
    [
      (scope: string, { client }: { client: { clientId: string } }) =>
        scope === 'calendar' && client.clientId === 'web',
      ['openid profile email calendar', 'invalid_scope', 'openid profile email'],
    ],
    [() => Promise.resolve(true), ['server_error', 'server_error', 'openid profile email']],
    [() => Promise.reject(new Error('late')), ['server_error', 'server_error', 'openid profile email']],
  ])('%s', async (allowed, expected) => {
    expect(await extra(allowed)).toEqual(expected);
  });
});

describe('fresh sign-ins (OpenID Connect Core §3.1.2.1)', () => {
  it('max_age and prompt=login hold for the provider’s sign-in', async () => {
    const host = federatedHost(VARIANTS[0]!, providersOf(upstreams));
    const agent = agentOf(host);
    const left = await leave(host, agent, { more: { max_age: '600' } });
    expect(new URL(left.headers.location!).searchParams.get('max_age')).toBe('600');
    const back = await signInUpstream(host, left.headers.location!);
    expect(answerOf(await callback(agent, back))).toHaveProperty('code');
    // A provider that cannot say when is not believed.
    const plain = answerOf((await signIn(host, { provider: 'plain', more: { max_age: '600' } })).response);
    expect(plain).toMatchObject({ error: 'login_required', state: 'xyz' });
  });
});

describe('without providers', () => {
  it('nothing of it is there', async () => {
    const host = federatedHost(VARIANTS[0]!, {}, { federation: { providers: {} } });
    host.user = { id: 'alice' };
    for (const path of ['/authorize/acme', '/callback/acme']) {
      expect((await request(host.app).get(host.base + path)).status).toBe(404);
    }
    expect((await request(host.app).post(`${host.base}/link_tickets`)).status).toBe(404);
    const form = new URLSearchParams(authorizationForm('web', pkce(), { connection: 'acme', type: 'x' }));
    const ignored = await request(host.app).get(`${host.base}/authorize?${form.toString()}`);
    expect(answerOf(ignored)).toHaveProperty('code');
  });
});

describe('a provider that posts back (OAuth 2.0 Form Post Response Mode)', () => {
  it('is answered at POST /callback', async () => {
    const host = federatedHost(VARIANTS[0]!, providersOf(upstreams, { responseMode: 'form_post' }));
    const pair = pkce();
    const left = await leave(host, agentOf(host), { pair });
    const cookie = left.headers['set-cookie']![0]!;
    expect(cookie).toMatch(/; Secure; SameSite=None$/);
    const { visit } = browser(left.headers.location!);
    const form = await visit(left.headers.location!);
    const consent = await visit(form.url, { prompt: 'login', login: 'alice', password: 'any' });
    const { text } = await visit(consent.url, { prompt: 'consent' });
    const field = (name: string): string => new RegExp(`name="${name}" value="([^"]+)"`).exec(text)![1]!;
    const response = await request(host.app)
      .post('/callback/acme')
      .set('Cookie', cookie.split(';')[0]!)
      .type('form')
      .send({ code: field('code'), state: field('state'), iss: upstreams.issuer });
    expect(response.status).toBe(303);
    const { body } = await redeem(host, 'web', { code: answerOf(response).code!, verifier: pair.verifier });
    expect(claimsOf(body.access_token as string).sub).toBe('acme-alice');
  });
});

describe('behind https', () => {
  it.each([
    [undefined, 'Lax'],
    ['form_post' as const, 'None'],
  ])('the browser is known by a __Host- cookie (response mode %s)', async (responseMode, sameSite) => {
    const provider = oauth2Provider({
      authorizationEndpoint: 'https://provider.example/authorize',
      tokenEndpoint: 'https://provider.example/token',
      userinfo: 'https://provider.example/me',
      clientId: 'our-server',
      ...(responseMode && { responseMode }),
    });
    const host = federatedHost(
      { store: 'redis', mount: 'root' },
      { distant: provider },
      { issuer: 'https://api.example.com', signingKeys: SIGNING_KEYS },
    );
    const left = await leave(host, agentOf(host), { provider: 'distant' });
    const url = new URL(left.headers.location!);
    expect(url.origin + url.pathname).toBe('https://provider.example/authorize');
    expect(url.searchParams.get('redirect_uri')).toBe('https://api.example.com/callback/distant');
    const cookie = left.headers['set-cookie']![0]!;
    expect(cookie).toMatch(/^__Host-oauth-[\w-]{8}=[\w-]{22}; Max-Age=1200; Path=\/; /);
    expect(cookie).toMatch(new RegExp(`; HttpOnly; Secure; SameSite=${sameSite}$`));
  });
});
