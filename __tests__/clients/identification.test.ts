import request from 'supertest';

import { oauth2Provider, OAuthError, type ClientOptions } from 'express-oauth-router';

import { federatedHost } from '../support/federation';

import {
  answerOf,
  authorizationForm,
  CALLBACK,
  CLIENTS,
  getCode,
  makeHost,
  pkce,
  post,
  redeem,
  VARIANTS,
  type Form,
  type Host,
} from '../support/host';

const CLIENTS_HERE: ClientOptions[] = [
  {
    ...CLIENTS.spa,
    publishableKeys: ['pk_one', 'pk_two'],
    requirePublishableKey: true,
    publishableKeyInQuery: true,
  },
  {
    clientId: 'easy',
    redirectUris: [CALLBACK],
    scope: 'profile',
    firstParty: true,
    publishableKeys: ['pk_easy'],
  },
  { clientId: 'bare', redirectUris: [CALLBACK], scope: 'profile', firstParty: true },
  { ...CLIENTS.post, publishableKeys: ['pk_post'], publishableKeyInQuery: true },
  CLIENTS.web,
];

describe.each(VARIANTS)('clients that are named by headers ($store, $mount)', (variant) => {
  let host: Host;
  beforeEach(() => {
    host = makeHost(variant, {
      clients: CLIENTS_HERE,
      clientHeaders: { id: 'X-Project-Id', publishableKey: 'X-Publishable-Key', placeholderKey: 'no_key' },
    });
  });

  const named = (id: string, key?: string): Record<string, string> => ({
    'X-Project-Id': id,
    ...(key !== undefined && { 'X-Publishable-Key': key }),
  });

  function authorize(client: string, more: Form = {}, headers: Record<string, string> = {}): request.Test {
    const form = authorizationForm('web', pkce(), {
      client_id: client,
      redirect_uri: CLIENTS_HERE.find(({ clientId }) => clientId === client)?.redirectUris?.[0],
      ...more,
    });
    return request(host.app)
      .get(`${host.base}/authorize?${new URLSearchParams(form).toString()}`)
      .set('Accept', 'application/json')
      .set(headers);
  }

  describe('POST /token', () => {
    const token = (form: Form, headers: Record<string, string> = {}): request.Test =>
      post(host, '/token', undefined, { grant_type: 'refresh_token', refresh_token: 'x', ...form }).set(
        headers,
      );

    it.each([
      ['a header alone', {}, named('spa', 'pk_one')],
      ['header and body', { client_id: 'spa' }, named('spa', 'pk_two')],
      ['the key as client_secret', { client_id: 'spa', client_secret: 'pk_one' }, {}],
      ['both', { client_id: 'spa', client_secret: 'pk_one' }, named('spa', 'pk_one')],
      ['what stands for no key', { client_id: 'easy', client_secret: 'no_key' }, named('easy', 'no_key')],
      [
        'what stands for no key, of a client that has none',
        { client_id: 'bare', client_secret: 'no_key' },
        {},
      ],
      ['no key where none is needed', { client_id: 'easy' }, {}],
      ['a right key where none is needed', { client_id: 'easy', client_secret: 'pk_easy' }, {}],
      [
        'a confidential client with its secret and its key',
        { client_secret: 'post-secret' },
        named('post', 'pk_post'),
      ],
    ])('%s: the client is known', async (_what, form, headers) => {
      // Known, because it is the refresh token that is refused.
      expect((await token(form, headers)).body).toMatchObject({ error: 'invalid_grant' });
    });

    it.each([
      ['no key where one is needed', { client_id: 'spa' }, {}],
      ['a wrong key', { client_id: 'spa', client_secret: 'wrong' }, {}],
      ['a wrong key in the header', { client_id: 'spa' }, named('spa', 'wrong')],
      ['what stands for no key where one is needed', { client_id: 'spa', client_secret: 'no_key' }, {}],
      ['what stands for no key in place of a secret', { client_id: 'post', client_secret: 'no_key' }, {}],
      ['two keys in one header', {}, named('spa', 'pk_one, pk_two')],
      ['the key of another client', {}, named('spa', 'pk_easy')],
      ['a wrong key where none is needed', { client_id: 'easy', client_secret: 'pk_one' }, {}],
      ['a key of a client that has none', { client_id: 'bare', client_secret: 'x' }, {}],
      ['a publishable key in place of a secret', { client_id: 'post', client_secret: 'pk_post' }, {}],
      ['a publishable key and no secret', {}, named('post', 'pk_post')],
      ['a header and no secret', {}, named('web')],
      ['nobody', {}, {}],
    ])('%s: 401', async (_what, form, headers) => {
      const response = await token(form, headers);
      expect([response.status, response.body]).toMatchObject([401, { error: 'invalid_client' }]);
    });

    it('header and body must agree', async () => {
      const response = await token({ client_id: 'easy' }, named('spa', 'pk_one'));
      expect([response.status, response.body]).toMatchObject([400, { error: 'invalid_request' }]);
      const basic = await request(host.app)
        .post(`${host.base}/token`)
        .auth('web', 'web-secret')
        .set(named('spa'))
        .type('form')
        .send({ grant_type: 'refresh_token', refresh_token: 'x' });
      expect(basic.status).toBe(400);
      const keys = await token({ client_id: 'spa', client_secret: 'pk_one' }, named('spa', 'pk_two'));
      expect([keys.status, keys.body]).toMatchObject([400, { error: 'invalid_request' }]);
    });

    it('the failure is an event', async () => {
      await token({ client_id: 'spa', client_secret: 'wrong' });
      expect(host.events).toContainEqual({
        name: 'client_authentication.failed',
        event: { clientId: 'spa', method: 'none', reason: 'wrong publishable key' },
      });
    });
  });

  describe('GET /authorize', () => {
    it.each([
      ['in the query, of a client that may', 'spa', { client_secret: 'pk_one' }, {}],
      ['in the header', 'spa', {}, named('spa', 'pk_one')],
      ['none, where none is needed', 'easy', {}, {}],
      ['what stands for none, where none is needed', 'easy', { client_secret: 'no_key' }, {}],
      ['of a confidential client that may', 'post', { client_secret: 'pk_post' }, {}],
      ['with the client in the header alone', 'spa', { client_id: '' }, named('spa', 'pk_one')],
    ])('a publishable key %s', async (_what, client, more, headers) => {
      const answer = answerOf(await authorize(client, more, headers));
      expect(answer).toEqual({ code: expect.stringMatching(/^[\w-]+$/), state: 'xyz', iss: host.issuer });
    });

    it.each([
      ['no key where one is needed', 'spa', {}, {}, 401],
      ['a wrong key', 'spa', { client_secret: 'wrong' }, {}, 401],
      ['a wrong key in the header', 'easy', {}, named('easy', 'wrong'), 401],
      ['a key in the query of a client that may not', 'easy', { client_secret: 'pk_easy' }, {}, 400],
      ['a real secret in the query', 'web', { client_secret: 'web-secret' }, {}, 400],
      ['a real secret of a client with publishable keys', 'post', { client_secret: 'post-secret' }, {}, 400],
      ['another client in the header', 'easy', {}, named('spa', 'pk_one'), 400],
      ['what stands for none where one is needed', 'spa', { client_secret: 'no_key' }, {}, 401],
      ['two keys that differ', 'spa', { client_secret: 'pk_one' }, named('spa', 'pk_two'), 400],
    ])('%s: an error page', async (_what, client, more, headers, status) => {
      const response = await authorize(client, more, headers);
      expect([response.status, response.headers.location]).toEqual([status, undefined]);
      expect(response.body).toMatchObject({ error: status === 401 ? 'invalid_client' : 'invalid_request' });
      expect(response.text).not.toContain('secret-');
    });

    it('a secret that is there twice is refused as if it was there once', async () => {
      const url = (await authorize('web')).request.url;
      const twice = await request(host.app).get(
        `${new URL(url).pathname}${new URL(url).search}&client_secret=web-secret&client_secret=web-secret`,
      );
      expect([twice.status, twice.headers.location]).toEqual([400, undefined]);
      expect(host.events).toContainEqual({
        name: 'request.refused',
        event: expect.objectContaining({ reason: 'secret out of place' }) as object,
      });
    });

    it('a real secret in a query is an event', async () => {
      await authorize('post', { client_secret: 'post-secret' });
      expect(host.events).toContainEqual({
        name: 'request.refused',
        event: expect.objectContaining({ clientId: 'post', reason: 'secret out of place' }) as object,
      });
      expect(JSON.stringify(host.events)).not.toContain('post-secret');
    });

    it('the key is asked for once: the login’s detour and the consent page need none', async () => {
      host.user = undefined;
      const away = await authorize('spa', { client_secret: 'pk_one' });
      const resume = new URL(away.headers.location!, host.issuer).searchParams.get('return_to')!;
      expect(resume).not.toContain('pk_one');
      host.user = { id: 'alice' };
      expect(answerOf(await request(host.app).get(resume))).toHaveProperty('code');
    });

    it('pushed requests need it where they are pushed', async () => {
      const { client_id: _, ...form } = authorizationForm('spa', pkce());
      const push = (headers: Record<string, string>): request.Test =>
        post(host, '/par', undefined, form).set(headers);
      expect((await push(named('spa'))).status).toBe(401);
      const { body } = await push(named('spa', 'pk_one'));
      const query = new URLSearchParams({ client_id: 'spa', request_uri: (body as Form).request_uri! });
      const pushed = `${host.base}/authorize?${query.toString()}`;
      expect((await request(host.app).get(`${pushed}&client_secret=pk_one`)).status).toBe(400);
      expect(answerOf(await request(host.app).get(pushed))).toHaveProperty('code');
    });
  });

  it('the options must go together', () => {
    const fault = (client: object): string => {
      try {
        makeHost(variant, { clients: [{ ...CLIENTS.web, ...client }] });
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(fault({ requirePublishableKey: true })).toContain('needs publishableKeys');
    expect(fault({ publishableKeyInQuery: true })).toContain('needs publishableKeys');
    expect(fault({ publishableKeys: ['web-secret'] })).toContain('must not have its secret among');
    expect(fault({ publishableKeys: 5 })).toContain('must be an array');
  });
});

/** Each leads to both. */
function cyclic(): Record<string, unknown> {
  const [one, other]: Record<string, unknown>[] = [{}, {}];
  Object.assign(one!, { one, other });
  Object.assign(other!, { one, other });
  return one!;
}

describe('the host’s hooks', () => {
  const variant = VARIANTS[0]!;

  it('an async policy, which nobody waits for, is an error and no end', async () => {
    const host = makeHost(variant, {
      lifetimes: { accessToken: () => Promise.reject(new Error('late')) as never },
    });
    const { body } = await redeem(host, 'web', await getCode(host));
    expect(body).toMatchObject({ error: 'server_error' });
  });

  it('a promise within what a hook gives is an error, and no end', async () => {
    const roles = (): object => ({ roles: Promise.reject(new Error('oops')) });
    for (const hook of ['claims', 'tokenResponse']) {
      const host = makeHost(variant, { [hook]: roles });
      expect((await redeem(host, 'web', await getCode(host))).body).toMatchObject({ error: 'server_error' });
    }
    const host = makeHost(variant, { clientCertificate: () => Promise.reject(new Error('oops')) as never });
    const refused = await post(host, '/token', 'spa', { grant_type: 'refresh_token', refresh_token: 'x' });
    expect(refused.body).toMatchObject({ error: 'server_error' });
  });

  it('formatError is asked for a wrong method, too', async () => {
    const host = makeHost(variant, { formatError: () => ({ code: 'MINE' }) });
    const { status, body, headers } = await request(host.app).get('/token');
    expect([status, headers.allow]).toEqual([405, 'POST, OPTIONS']);
    expect(body).toMatchObject({ error: 'invalid_request', code: 'MINE' });
  });

  it('requestGuard stands before every endpoint, and fails closed', async () => {
    const asked: string[] = [];
    const host = federatedHost(
      variant,
      {
        acme: oauth2Provider({
          authorizationEndpoint: 'https://p.example/a',
          tokenEndpoint: 'https://p.example/t',
          userinfo: 'https://p.example/u',
          clientId: 'x',
        }),
      },
      {
        endSession: () => undefined,
        requestGuard: (req, { endpoint }) => {
          asked.push(endpoint);
          if (req.get('x-key') === 'own') throw new OAuthError('access_denied', 'Closed', { status: 403 });
          if (req.get('x-key') === 'bug') throw new Error('oops');
          return (req.get('x-key') === 'right' ? true : 'yes') as boolean;
        },
      },
    );
    const paths = {
      get: [
        '/authorize',
        '/authorize/acme',
        '/callback/acme',
        '/logout',
        '/userinfo',
        '/jwks',
        '/.well-known/openid-configuration',
      ],
      post: ['/token', '/par', '/revoke', '/introspect', '/consent', '/link_tickets'],
    };
    for (const [method, list] of Object.entries(paths)) {
      for (const path of list) {
        const response = await request(host.app)[method as 'get' | 'post'](path);
        expect([path, response.status, response.body]).toMatchObject([
          path,
          401,
          { error: 'invalid_client' },
        ]);
      }
    }
    expect(asked).toEqual([
      'authorize',
      'authorize',
      'callback',
      'logout',
      'userinfo',
      'jwks',
      'metadata',
      'token',
      'par',
      'revoke',
      'introspect',
      'consent',
      'link_tickets',
    ]);
    const wellKnown = '/.well-known/oauth-authorization-server';
    const at = (key: string): request.Test => request(host.app).get(wellKnown).set('X-Key', key);
    expect([(await at('right')).status, (await at('own')).status, (await at('bug')).status]).toEqual([
      200, 403, 500,
    ]);
    expect((await at('bug')).text).not.toContain('oops');
  });

  it('formatError adds members, and has no say in the standard ones', async () => {
    const host = makeHost(variant, {
      formatError: ({ code }, req) => ({
        code: code.toUpperCase(),
        at: req.path,
        error: 'mine',
        error_description: 1,
      }),
    });
    const refused = await post(host, '/token', 'web', { grant_type: 'authorization_code' });
    expect(refused.body).toEqual({
      error: 'invalid_request',
      error_description: 'code is missing',
      code: 'INVALID_REQUEST',
      at: '/token',
    });
  });

  it('beforeIssueToken may refuse, and spends nothing', async () => {
    let needed = true;
    const host = makeHost(variant, {
      beforeIssueToken: ({ userId }) => {
        if (!needed) return;
        throw new OAuthError('mfa_required', 'A second factor is needed', {
          members: { mfa_token: `of ${userId!}` },
        });
      },
    });
    const code = await getCode(host);
    const refused = await redeem(host, 'web', code);
    expect([refused.status, refused.body]).toEqual([
      400,
      { error: 'mfa_required', error_description: 'A second factor is needed', mfa_token: 'of alice' },
    ]);
    needed = false;
    expect((await redeem(host, 'web', code)).status).toBe(200);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('oops');
      },
    ],
    ['gives what is no JSON', () => ({ big: 1n })],
    ['gives a list', () => ['a'] as never],
    ['gives text', () => 'abc' as never],
    ['is async', () => Promise.resolve({ code: 'late' }) as never],
    ['gives what leads back to itself', () => cyclic()],
    ['gives a promise deep inside', () => ({ a: [{ b: Promise.reject(new Error('oops')) }] })],
    ['gives a promise as a member', () => ({ code: Promise.reject(new Error('oops')) })],
    ['is async and fails', () => Promise.reject(new Error('oops')) as never],
  ])('a formatError that %s leaves the error as it is', async (_what, formatError) => {
    const host = makeHost(variant, { formatError });
    const refused = await post(host, '/token', 'web', { grant_type: 'authorization_code' });
    expect(refused.body).toEqual({ error: 'invalid_request', error_description: 'code is missing' });
    expect(host.eventNames()).toContain('server.failed');
  });

  it('tokenResponse adds members, before anything is written', async () => {
    let members: unknown = { plan: 'gold' };
    const host = makeHost(variant, {
      tokenResponse: ({ client, userId, grantType, federation }) => {
        expect([client.clientId, userId, grantType, federation]).toEqual([
          'web',
          'alice',
          'authorization_code',
          undefined,
        ]);
        return members as Record<string, unknown>;
      },
    });
    const code = await getCode(host);
    const nonsenses = [
      { access_token: 'x' },
      { scope: 'all' },
      { id_token: 'x' },
      { error: 'invalid_grant' },
      { toJSON: () => ({ access_token: 'x' }) },
      { big: 1n },
      ['a'],
      'abc',
    ];
    for (const nonsense of nonsenses) {
      members = nonsense;
      expect((await redeem(host, 'web', code)).body).toMatchObject({ error: 'server_error' });
    }
    // Names that mean something to others on the way.
    members = { plan: 'gold', nothing: undefined, accessToken: 'x', user: { name: 'Alice' }, client: 1 };
    const { status, body } = await redeem(host, 'web', code);
    expect([status, body]).toEqual([
      200,
      expect.objectContaining({
        plan: 'gold',
        accessToken: 'x',
        user: { name: 'Alice' },
        client: 1,
        token_type: 'Bearer',
        scope: expect.any(String) as string,
      }),
    ]);
  });
});
