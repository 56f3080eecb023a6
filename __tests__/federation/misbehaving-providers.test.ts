import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

import { oauth2Provider, OAuthError, oidcProvider } from 'express-oauth-router';

import { agentOf, callback, federatedHost, leave, type FederatedHost } from '../support/federation';
import { answerOf, VARIANTS, type Form } from '../support/host';
import { json, misbehavingProvider, type MisbehavingProvider } from '../support/misbehaving-provider';
import { joseKeyPair } from '../support/jose';

const SECRET = 'our-secret-at-the-provider';

describe('providers that misbehave', () => {
  let provider: MisbehavingProvider;
  let host: FederatedHost;
  const own = (more: object = {}): object => ({ issuer: provider.issuer, clientId: 'our-server', ...more });

  beforeEach(async () => {
    provider = await misbehavingProvider();
    host = federatedHost(VARIANTS[0]!, {
      acme: oidcProvider({
        ...own(),
        clientSecret: SECRET,
        timeout: 1,
        trustEmailVerified: true,
      } as never),
    });
  });
  afterEach(() => provider.close());

  async function come({
    more = {},
    withState = true,
  }: { more?: Record<string, string>; withState?: boolean } = {}): Promise<Form> {
    const agent = agentOf(host);
    const left = await leave(host, agent);
    if (answerOf(left).error !== undefined) return answerOf(left);
    const back = await callback(agent, provider.callbackFor(left.headers.location!, more));
    expect(back.status).toBe(303);
    const answer = answerOf(back);
    if (withState) expect(answer).toMatchObject({ state: 'xyz', iss: host.issuer });
    return answer;
  }

  const events = (): string =>
    JSON.stringify(host.events, (_key, value: unknown) =>
      value instanceof Error ? { message: value.message, cause: value.cause } : value,
    );

  it('one that behaves is believed', async () => {
    expect(await come()).toHaveProperty('code');
    expect(host.resolved[0]!.identity).toMatchObject({ subject: 'eve', emailVerified: false });
  });

  it.each([1e308, 1_700_000_000_000])('auth_time that is no time in seconds is none: %j', async (time) => {
    provider.claims = { auth_time: time };
    expect(await come()).toHaveProperty('code');
    expect(host.resolved[0]!.identity.authTime).toBeUndefined();
  });

  it.each([null, '', 4711, undefined])('without an address nothing is verified: %j', async (email) => {
    provider.claims = { email, email_verified: true };
    expect(await come()).toHaveProperty('code');
    expect(host.resolved[0]!.identity).toMatchObject({ emailVerified: false });
  });

  const hang = (): void => undefined;
  const fail = (_req: unknown, res: ServerResponse): unknown => json(res, 503, { error: 'maintenance' });
  const nonsense = (_req: unknown, res: ServerResponse): unknown =>
    res.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Welcome to the hotel wifi</h1>');
  const endless = (_req: unknown, res: ServerResponse): void => {
    res.writeHead(200, { 'Content-Type': 'application/json' });
    res.write('{"padding":"');
    const chunk = 'x'.repeat(1024 * 1024);
    for (let written = 0; written < 10; written++) res.write(chunk);
    res.end('"}');
  };
  const cut = (_req: unknown, res: ServerResponse): unknown => res.destroy();
  const limited = (_req: unknown, res: ServerResponse): unknown => json(res, 429, {});

  const OUTAGES = { hang, fail, nonsense, endless, cut, limited };
  const PLACES = ['/.well-known/openid-configuration', '/token', '/userinfo', '/jwks'] as const;

  it.each(PLACES.flatMap((place) => Object.keys(OUTAGES).map((outage) => [place, outage] as const)))(
    'an outage never leaves the user on a blank page: %s, %s',
    async (place, outage) => {
      provider.instead[place] = OUTAGES[outage as keyof typeof OUTAGES];
      const answer = await come();
      expect(answer).toMatchObject({ error: 'temporarily_unavailable', state: 'xyz', iss: host.issuer });
      expect(host.resolved).toHaveLength(0);
      expect(host.events).toContainEqual({
        name: 'provider.failed',
        event: { clientId: 'web', providerId: 'acme', cause: expect.any(Error) as Error },
      });
      // And it goes on when the provider does.
      provider.instead = {};
      expect(await come()).toHaveProperty('code');
    },
  );

  it('what a provider published keeps working while it cannot be asked', async () => {
    expect(await come()).toHaveProperty('code');
    for (const outage of [fail, hang]) {
      provider.instead['/.well-known/openid-configuration'] = outage;
      host.pass(7200);
      const before = performance.now();
      expect(await come()).toHaveProperty('code');
      expect(performance.now() - before).toBeLessThan(900);
    }
  });

  it('discovery is asked once for many, and again when it is old', async () => {
    const count = (): number => provider.asked.filter(({ path }) => path.startsWith('/.well-known')).length;
    await Promise.all(Array.from({ length: 5 }, () => leave(host, agentOf(host))));
    expect(count()).toBe(1);
    host.pass(3601);
    await Promise.all(Array.from({ length: 5 }, () => leave(host, agentOf(host))));
    for (let tries = 0; count() < 2 && tries < 100; tries++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(count()).toBe(2);
  });

  it.each([
    ['iss of another provider (mix-up)', { iss: 'https://evil.example' }],
    ['no iss from one that says that it sends it', { iss: '' }],
  ])('the authorization response: %s', async (_what, more) => {
    expect(await come({ more })).toMatchObject({ error: 'server_error' });
    expect(provider.asked.some(({ path }) => path === '/token')).toBe(false);
    expect(host.eventNames()).toContain('provider.failed');
  });

  it.each([
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another client', { aud: 'somebody-else' }],
    ['expired', { exp: 1 }],
    ['with another nonce (a code of another sign-in)', { nonce: 'x'.repeat(43) }],
    ['without a nonce', { nonce: undefined }],
    ['without a subject', { sub: undefined }],
  ])('an ID token %s is not believed', async (_what, claims) => {
    provider.claims = claims;
    expect(await come()).toMatchObject({ error: 'server_error' });
    expect(host.resolved).toHaveLength(0);
  });

  it('an ID token that somebody else has signed is not believed', async () => {
    provider.signWith = (await joseKeyPair('RS256')).privateKey;
    expect(await come()).toMatchObject({ error: expect.stringMatching(/server_error|temporarily/) });
    expect(host.resolved).toHaveLength(0);
  });

  it('an unsigned ID token is not believed', async () => {
    const now = Math.floor(Date.now() / 1000);
    provider.instead['/token'] = (_req, res, body) => {
      const claims = { iss: provider.issuer, sub: 'eve', aud: 'our-server', iat: now, exp: now + 60 };
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      const nonce = body.get('code')!.split('.')[1];
      json(res, 200, {
        access_token: 'a',
        token_type: 'Bearer',
        id_token: `${part({ alg: 'none' })}.${part({ ...claims, nonce })}.`,
      });
    };
    expect(await come()).toHaveProperty('error');
    expect(host.resolved).toHaveLength(0);
  });

  it('userinfo of another user is not believed', async () => {
    provider.instead['/userinfo'] = (_req, res) =>
      json(res, 200, { sub: 'alice', email: 'alice@example.com' });
    expect(await come()).toMatchObject({ error: 'server_error' });
    expect(host.resolved).toHaveLength(0);
  });

  it.each([
    [400, { error: 'invalid_grant' }, 'access_denied'],
    [401, { error: 'invalid_client' }, 'server_error'],
    [400, { error: 'unauthorized_client' }, 'server_error'],
    [500, { error: 'server_error' }, 'temporarily_unavailable'],
    [302, {}, 'server_error'],
  ])('the token endpoint answers %s %j', async (status, body, error) => {
    provider.instead['/token'] = (_req, res) => json(res, status, body);
    expect(await come()).toMatchObject({ error });
    expect(host.eventNames().includes('provider.failed')).toBe(error !== 'access_denied');
  });

  it.each([
    ['access_denied', 'access_denied'],
    ['consent_required', 'access_denied'],
    ['temporarily_unavailable', 'temporarily_unavailable'],
    ['server_error', 'temporarily_unavailable'],
    ['invalid_scope', 'server_error'],
    ['user_cancelled_authorize', 'access_denied'],
    ['user_cancelled_login', 'access_denied'],
  ])('the authorization endpoint answers %s', async (theirs, error) => {
    expect(await come({ more: { error: theirs, code: '' } })).toMatchObject({ error });
  });

  it('a refusal is a refusal, whatever is said about it', async () => {
    const more = {
      error: 'access_denied',
      error_description: 'AADSTS65004: declined.\r\nTrace: 1',
      code: '',
    };
    expect(await come({ more })).toMatchObject({ error: 'access_denied' });
    expect(host.eventNames()).not.toContain('provider.failed');
    expect(host.eventNames()).not.toContain('server.failed');
  });

  it('says nothing in events of what the provider has answered', async () => {
    provider.tokens = { refresh_token: 'upstream-refresh-token' };
    provider.claims = { aud: 'somebody-else' };
    await come();
    provider.claims = {};
    provider.instead['/token'] = (_req, res) =>
      json(res, 200, { access_token: 4711, token_type: 'Bearer', refresh_token: 'upstream-refresh-token' });
    await come();
    provider.instead['/token'] = (_req, res) =>
      res.writeHead(200, { 'Content-Type': 'application/json' }).end('eyJhbGciOiJub25lIn0 is no JSON');
    await come();
    expect(host.eventNames().filter((name) => name === 'provider.failed')).toHaveLength(3);
    const seen = events();
    for (const secret of ['upstream-refresh-token', 'upstream-access', SECRET, 'eyJhbGciOiJub25lIn0']) {
      expect(seen).not.toContain(secret);
    }
  });

  it('plain OAuth 2.0: no subject, refused userinfo, an ID token that nobody asked for', async () => {
    const plain = (more: object = {}): FederatedHost =>
      federatedHost(VARIANTS[0]!, {
        acme: oauth2Provider({
          authorizationEndpoint: `${provider.issuer}/authorize`,
          tokenEndpoint: `${provider.issuer}/token`,
          userinfo: `${provider.issuer}/userinfo`,
          clientId: 'our-server',
          timeout: 1,
          ...more,
        }),
      });
    const at = async (): Promise<Form> => {
      const agent = agentOf(host);
      const left = await leave(host, agent);
      const query = new URL(left.headers.location!).searchParams;
      expect(query.get('nonce')).toBeNull();
      const back = `/callback/acme?code=code.x&state=${query.get('state')!}&iss=anything`;
      return answerOf(await callback(agent, back));
    };
    host = plain();
    provider.claims = { iss: 'https://evil.example' };
    expect(await at()).toHaveProperty('code');
    provider.instead['/userinfo'] = (_req, res) => json(res, 200, { name: 'nobody' });
    expect(await at()).toMatchObject({ error: 'temporarily_unavailable' });
    provider.instead['/userinfo'] = (_req, res) => json(res, 403, {});
    expect(await at()).toMatchObject({ error: 'server_error' });
    provider.instead['/userinfo'] = (_req, res) => json(res, 200, [1]);
    expect(await at()).toHaveProperty('error');
    expect(host.resolved).toHaveLength(1);

    provider.instead = { '/token': (_req, res) => json(res, 200, { error: 'bad_verification_code' }) };
    expect(await at()).toMatchObject({ error: 'access_denied' });
    provider.instead = {};

    host = plain({ issuer: 'https://named.example' });
    expect(await at()).toMatchObject({ error: 'server_error' });

    const userinfo = jest.fn(async () => Promise.resolve({ sub: 'of the token' }));
    host = plain({ userinfo });
    expect(await at()).toHaveProperty('code');
    expect(userinfo).toHaveBeenCalledWith('upstream-access-token');
    expect(host.resolved[0]!.identity.subject).toBe('of the token');

    const emails = `${provider.issuer}/jwks`;
    provider.instead = {
      '/jwks': (_req, res) =>
        json(res, 200, [
          { email: 'unverified@example.com', primary: true, verified: false },
          { email: 'second@example.com', primary: false, verified: true, label: 'error' },
        ]),
    };
    host = plain({ emails, trustEmailVerified: true });
    expect(await at()).toHaveProperty('code');
    expect(host.resolved[0]!.identity).toMatchObject({ email: 'second@example.com', emailVerified: true });
  });

  it.each(['client_secret_basic', 'client_secret_post', 'none'] as const)(
    'this server authenticates by %s, by a secret that is made each time',
    async (method) => {
      let made = 0;
      host = federatedHost(VARIANTS[0]!, {
        acme: oidcProvider({
          issuer: provider.issuer,
          clientId: 'our-server',
          tokenEndpointAuthMethod: method,
          clientSecret: () => Promise.resolve(`secret-${++made}`),
        }),
      });
      await come();
      await come();
      const asked = provider.asked.filter(({ path }) => path === '/token');
      const basic = asked.map(({ authorization = 'Basic ' }) =>
        decodeURIComponent(Buffer.from(authorization.slice(6), 'base64').toString()),
      );
      const inBody = asked.map(({ body }) => body.get('client_secret'));
      expect({ basic, inBody }).toEqual(
        {
          client_secret_basic: {
            basic: ['our-server:secret-1', 'our-server:secret-2'],
            inBody: [null, null],
          },
          client_secret_post: { basic: ['', ''], inBody: ['secret-1', 'secret-2'] },
          none: { basic: ['', ''], inBody: [null, null] },
        }[method],
      );
      // RFC 7636, unless the provider refuses it.
      expect(asked.every(({ body }) => body.get('code_verifier')?.length === 43)).toBe(true);
    },
  );

  it('can do without PKCE and userinfo, and sends what the provider wants besides', async () => {
    host = federatedHost(VARIANTS[0]!, {
      acme: oidcProvider({
        issuer: provider.issuer,
        clientId: 'our-server',
        pkce: false,
        userinfo: false,
        authorizationParameters: { access_type: 'offline', prompt: 'consent' },
      }),
    });
    const left = await leave(host, agentOf(host), { more: { prompt: 'select_account consent' } });
    const query = new URL(left.headers.location!).searchParams;
    expect([query.get('code_challenge'), query.get('access_type'), query.get('prompt')]).toEqual([
      null,
      'offline',
      'consent select_account',
    ]);
    await come();
    expect(provider.asked.map(({ path }) => path)).not.toContain('/userinfo');
    expect(provider.asked.find(({ path }) => path === '/token')!.body.has('code_verifier')).toBe(false);
  });

  it('takes the name that Apple sends beside the code, for want of a better one', async () => {
    const nameOf = async (user: string): Promise<string | undefined> => {
      host.resolved.length = 0;
      await come({ more: { user } });
      return host.resolved[0]!.identity.name;
    };
    expect(await nameOf('{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"x@y.example"}')).toBe(
      'Ada Lovelace',
    );
    expect(host.resolved[0]!.identity.email).toBeUndefined();
    for (const user of ['{', '[]', '{"name":4}', 'null']) expect(await nameOf(user)).toBeUndefined();
    provider.claims = { name: 'The provider’s' };
    expect(await nameOf('{"name":{"firstName":"Ada"}}')).toBe('The provider’s');
  });

  it('harmless oddities of a token response are put right', async () => {
    provider.tokens = {
      scope: ['user:read', 'email'],
      expires_in: '300',
      refresh_token: null,
      token_type: null,
    };
    host = federatedHost(VARIANTS[0]!, {
      acme: oidcProvider({ ...own(), clientSecret: SECRET, storeTokens: true } as never),
    });
    expect(await come()).toHaveProperty('code');
    expect(await host.oauth.providerTokens('acme-eve', 'acme')).toMatchObject({
      scope: 'user:read email',
      tokenType: 'bearer',
      expiresAt: host.now + 300_000,
    });
  });

  it('an address and its verification are of one document', async () => {
    provider.claims = { email: 'victim@example.com' };
    provider.instead['/userinfo'] = (_req, res) =>
      json(res, 200, { sub: 'eve', email: 'eve@example.com', email_verified: true });
    await come();
    expect(host.resolved[0]!.identity).toMatchObject({ email: 'victim@example.com', emailVerified: false });
  });

  it('an iss that is there twice is no missing one', async () => {
    provider.instead['/.well-known/openid-configuration'] = (_req, res) =>
      json(res, 200, {
        issuer: provider.issuer,
        authorization_endpoint: `${provider.issuer}/authorize`,
        token_endpoint: `${provider.issuer}/token`,
        jwks_uri: `${provider.issuer}/jwks`,
      });
    expect(await come({ more: { iss: '' } })).toHaveProperty('code');
    host.resolved.length = 0;
    const agent = agentOf(host);
    const left = await leave(host, agent);
    const back = provider.callbackFor(left.headers.location!, { iss: 'https://evil.example' });
    const answer = answerOf(await callback(agent, `${back}&iss=${encodeURIComponent(provider.issuer)}`));
    expect(answer).toMatchObject({ error: 'server_error', state: 'xyz' });
    expect(host.resolved).toHaveLength(0);
  });

  it('does not repeat a code that the provider quotes', async () => {
    provider.instead['/token'] = (_req, res, body) =>
      json(res, 400, {
        error: 'invalid_request',
        error_description: `The code ${body.get('code')!} was used`,
      });
    await come();
    expect(events()).toContain('was used');
    expect(events()).not.toContain('code.');
    provider.instead['/token'] = (_req, res, body) =>
      json(res, 400, {
        error: 'invalid_request',
        error_description: `bad ${[...body.values()].join(' ')} ${SECRET}`,
      });
    const code = `code.${'x'.repeat(1000)}`;
    await come({ more: { code } });
    expect(events()).toContain('bad ');
    for (const secret of ['code.', 'xxxxxxxx', SECRET]) expect(events()).not.toContain(secret);
  });

  it('a function that gets the profile may refuse by itself', async () => {
    host = federatedHost(VARIANTS[0]!, {
      acme: oauth2Provider({
        authorizationEndpoint: `${provider.issuer}/authorize`,
        tokenEndpoint: `${provider.issuer}/token`,
        userinfo: () => Promise.reject(new OAuthError('access_denied', 'Not in our organisation')),
        clientId: 'our-server',
      }),
    });
    const agent = agentOf(host);
    const state = new URL((await leave(host, agent)).headers.location!).searchParams.get('state')!;
    const answer = answerOf(await callback(agent, `/callback/acme?code=code.x&state=${state}`));
    expect(answer).toMatchObject({ error: 'access_denied', error_description: 'Not in our organisation' });
  });

  it.each([
    [true, true],
    ['true', true],
    [false, false],
    ['false', false],
    [1, false],
    [undefined, false],
  ])('email_verified %j counts as %s', async (claim, verified) => {
    provider.claims = { email: 'eve@example.com', email_verified: claim };
    await come();
    expect(host.resolved[0]!.identity.emailVerified).toBe(verified);
  });

  it('says nothing about addresses unless the host trusts it for them', async () => {
    host = federatedHost(VARIANTS[0]!, { acme: oidcProvider({ ...own(), clientSecret: SECRET } as never) });
    provider.claims = { email: 'eve@example.com', email_verified: true };
    await come();
    expect(host.resolved[0]!.identity).toMatchObject({ email: 'eve@example.com', emailVerified: false });
    expect(host.resolved[0]!.identity.claims.email_verified).toBe(true);
  });

  it('an address and its verification come from the same document', async () => {
    host = federatedHost(VARIANTS[0]!, {
      acme: oidcProvider({ ...own(), clientSecret: SECRET, trustEmailVerified: true } as never),
    });
    provider.claims = { email_verified: true };
    provider.instead['/userinfo'] = (_req, res) =>
      json(res, 200, { sub: 'eve', email: 'victim@example.com', email_verified: false });
    await come();
    expect(host.resolved[0]!.identity).toMatchObject({ email: 'victim@example.com', emailVerified: false });
  });

  it.each(['gzip', 'GZIP', 'x-gzip'])('a response that is compressed with %s is read', async (coding) => {
    provider.instead['/userinfo'] = (_req, res) =>
      res
        .writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': coding })
        .end(gzipSync(JSON.stringify({ sub: 'eve', name: 'Eve' })));
    expect(await come()).toHaveProperty('code');
    expect(host.resolved[0]!.identity.name).toBe('Eve');
  });

  describe('whose discovery document names a private address', () => {
    it.each(['token_endpoint', 'jwks_uri', 'userinfo_endpoint'])(
      'as %s is not asked there',
      async (endpoint) => {
        let asked = 0;
        const inside = createServer((_req, res) => {
          asked++;
          res.end('{}');
        });
        await new Promise<void>((resolve) => inside.listen(0, '127.0.0.1', resolve));
        const { port } = inside.address() as AddressInfo;
        const issuer = provider.issuer.replace('127.0.0.1', 'localhost');
        provider.instead['/.well-known/openid-configuration'] = (_req, res) =>
          json(res, 200, {
            issuer,
            authorization_endpoint: `${issuer}/authorize`,
            token_endpoint: `${issuer}/token`,
            userinfo_endpoint: `${issuer}/userinfo`,
            jwks_uri: `${issuer}/jwks`,
            [endpoint]: `http://127.0.0.1:${port}/inside`,
          });
        const own = (allowPrivateAddresses: boolean): FederatedHost =>
          federatedHost(
            VARIANTS[0]!,
            { acme: oidcProvider({ issuer, clientId: 'our-server', clientSecret: SECRET, timeout: 1 }) },
            { federation: { allowPrivateAddresses } },
          );
        for (const [allowed, requests] of [
          [false, 0],
          [true, 1],
        ] as const) {
          host = own(allowed);
          expect(await come({ more: { iss: issuer } })).toHaveProperty('error');
          expect(asked).toBe(requests);
        }
        inside.close();
      },
    );
  });
});
