import * as jose from 'jose';
import request from 'supertest';

import { createOAuthRouter, OAuthConfigurationError, type ClientOptions } from 'express-oauth-router';

import {
  answerOf,
  authorizationForm,
  authorize,
  claimsOf,
  CLIENTS,
  getCode,
  getTokens,
  makeHost,
  ORDERS,
  pkce,
  post,
  redeem,
  SECRET,
  storeClient,
  VARIANTS,
  type Form,
  type Host,
  type HostOptions,
} from '../support/host';
import { clientKey, dpopProof } from '../support/jose';
import { keyPair } from '../support/keys';
import { ALICE, OPENID_CLIENTS, openidHost } from '../support/openid';

const MCP = 'https://mcp.example.com';
const minimal = {
  issuer: 'http://localhost:3000',
  secrets: [SECRET],
  authenticate: () => undefined,
  loginUrl: '/login',
};

describe.each(VARIANTS)('clients as they come, on $store at the $mount', (variant) => {
  const send = (host: Host, form: Form | string, basic?: [string, string], path = '/token'): request.Test => {
    const test = request(host.app).post(`${host.base}${path}`).type('form');
    if (basic) void test.auth(...basic);
    return test.send(typeof form === 'string' ? form : (form as object));
  };
  const grant = { grant_type: 'client_credentials' };

  describe('ID tokens', () => {
    const idTokenOf = async (host: Host, scope = 'openid profile email'): Promise<jose.JWTPayload> => {
      const { id_token: token } = (await getTokens(host, 'web', { scope })) as unknown as {
        id_token: string;
      };
      return claimsOf(token);
    };

    it('have the claims of the granted scope, and no others: most clients read nothing else', async () => {
      const host = openidHost(variant);
      expect(await idTokenOf(host)).toMatchObject({
        name: ALICE.name,
        email: ALICE.email,
        email_verified: true,
      });
      const narrow = await idTokenOf(host, 'openid email');
      expect(narrow).toMatchObject({ email: ALICE.email });
      expect(narrow).not.toHaveProperty('name');
      expect(await idTokenOf(host, 'openid')).not.toHaveProperty('email');
    });

    it('have what the claims parameter requests only, where the router or the client says so', async () => {
      expect(await idTokenOf(openidHost(variant, { idTokenClaims: 'requested' }))).not.toHaveProperty('name');
      const clients = [{ ...OPENID_CLIENTS[0]!, idTokenClaims: 'requested' as const }];
      expect(await idTokenOf(openidHost(variant, { clients }))).not.toHaveProperty('name');
      const own = [{ ...OPENID_CLIENTS[0]!, idTokenClaims: 'scope' as const }];
      expect(
        await idTokenOf(openidHost(variant, { clients: own, idTokenClaims: 'requested' })),
      ).toHaveProperty('name');
    });
  });

  it('a router whose ID tokens most clients refuse says so at the start', () => {
    const said: string[] = [];
    const logger = { ...console, warn: (_facts: object, text: string) => void said.push(text) };
    const client = { ...CLIENTS.web, scope: 'openid' };
    const start = (clients: ClientOptions[], alg: 'ES256' | 'RS256'): unknown =>
      createOAuthRouter({
        ...minimal,
        logger,
        clients,
        signingKeys: [{ key: keyPair(alg).privateKey, alg }],
      });
    start([{ ...client, idTokenSignedResponseAlg: 'ES256' }, CLIENTS.machine], 'ES256');
    start([client], 'RS256');
    expect(said).toEqual([]);
    start([client], 'ES256');
    expect(said).toEqual([expect.stringMatching(/^ID tokens for web are signed with ES256.*RS256.*init/)]);
  });

  it('a secret is taken by Basic and in the body where nobody chose one, and only so where somebody did', async () => {
    const host = makeHost(variant);
    const inBody = (id: string, secret: string): Promise<request.Response> =>
      send(host, { ...grant, client_id: id, client_secret: secret });
    expect((await inBody('machine', 'machine-secret')).status).toBe(200);
    expect((await send(host, grant, ['machine', 'machine-secret'])).status).toBe(200);
    expect((await inBody('machine', 'wrong')).status).toBe(401);
    expect((await inBody('exact', 'exact-secret')).status).toBe(401);
    expect((await send(host, grant, ['exact', 'exact-secret'])).status).toBe(200);
    // The same for a client of the store.
    const secret = await storeClient(host, { clientId: 'stored', grantTypes: ['client_credentials'] });
    expect((await inBody('stored', secret)).status).toBe(200);
    expect((await send(host, grant, ['stored', secret])).status).toBe(200);
  });

  it('Basic with an empty secret is no secret, for a public client and for no other (RFC 6749 §2.3.1)', async () => {
    const host = makeHost(variant);
    const { code, verifier } = await getCode(host, 'spa');
    const form = {
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
      redirect_uri: 'https://spa.example.com/cb',
    };
    expect((await send(host, form, ['spa', ''])).status).toBe(200);
    const refused = await send(host, grant, ['machine', '']);
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, 'Basic realm="OAuth"']);
    expect((await send(host, form, ['spa', 'x'])).status).toBe(401);
  });

  it('a resource is the same however its URL is written, and `aud` is as registered', async () => {
    const host = makeHost(variant, { resources: [MCP, ORDERS, 'urn:example:api'] });
    const ask = async (more: Form): Promise<unknown> => {
      const { body } = await post(host, '/token', 'machine', { ...grant, ...more });
      const { access_token: token, error } = body as { access_token?: string; error?: string };
      return token === undefined ? error : claimsOf(token).aud;
    };
    for (const resource of [
      MCP,
      `${MCP}/`,
      'https://MCP.example.com',
      `${MCP}:443/`,
      'HTTPS://mcp.example.com',
    ])
      expect(await ask({ resource })).toBe(MCP);
    expect(await ask({ audience: `${MCP}/`, resource: MCP })).toBe(MCP);
    for (const resource of [
      `${MCP}/x`,
      `${MCP}:8443`,
      'http://mcp.example.com',
      `${MCP}?x`,
      'urn:example:API',
    ])
      expect(await ask({ resource })).toBe('invalid_target');
    expect(() => createOAuthRouter({ ...minimal, resources: [MCP, `${MCP}/`] })).toThrow(
      OAuthConfigurationError,
    );
    // In the whole flow, and on refresh.
    const tokens = await getTokens(host, 'web', { resource: `${MCP}/` });
    expect(claimsOf(tokens.access_token).aud).toBe(MCP);
  });

  it('blanks around scope values are forgiven, and commas get a hint', async () => {
    const host = makeHost(variant);
    const ask = async (scope: string): Promise<unknown> => {
      const { body } = await post(host, '/token', 'machine', { ...grant, scope });
      const { scope: granted, error, error_description: text } = body as Record<string, string>;
      return granted ?? [error, text];
    };
    expect(await ask(' jobs:run   jobs:read ')).toBe('jobs:run jobs:read');
    expect(await ask('   ')).toBe('jobs:run jobs:read');
    expect(await ask('jobs:run,jobs:read')).toEqual([
      'invalid_scope',
      'The scope jobs:run,jobs:read is not allowed here: separate scope values by spaces',
    ]);
  });

  it('an unknown parameter may be anything, also twice; a known one may not', async () => {
    const host = makeHost(variant, {
      grants: { 'urn:example:grant': ({ parameters }) => ({ scope: parameters.wanted ?? '' }) },
      clients: [{ ...CLIENTS.machine, grantTypes: ['client_credentials', 'urn:example:grant'] }, CLIENTS.web],
    });
    const machine: [string, string] = ['machine', 'machine-secret'];
    const ask = async (query: string): Promise<number> => (await send(host, query, machine)).status;
    expect(await ask('grant_type=client_credentials&tenant=a&tenant=b')).toBe(200);
    expect(await ask(`grant_type=client_credentials&debug=${'x'.repeat(9000)}`)).toBe(200);
    expect(await ask('grant_type=client_credentials&scope=jobs%3Arun&scope=jobs%3Aread')).toBe(400);
    // A host's own function may know what this server does not.
    expect(await ask('grant_type=urn%3Aexample%3Agrant&wanted=jobs%3Arun')).toBe(200);
    expect(await ask('grant_type=urn%3Aexample%3Agrant&wanted=jobs%3Arun&wanted=x')).toBe(400);
    const query = new URLSearchParams(authorizationForm('web', pkce())).toString();
    expect(answerOf(await authorize(host, `${query}&utm=a&utm=b`))).toHaveProperty('code');
    expect(answerOf(await authorize(host, `${query}&scope=a&scope=b`))).toHaveProperty('error');
  });

  it('an unknown scope value of the host’s own decision is never left out', async () => {
    const grant = 'urn:example:grant';
    const host = makeHost(variant, {
      unknownScopes: 'drop',
      grants: { [grant]: ({ parameters }) => ({ scope: parameters.wanted ?? '' }) },
      clients: [{ ...CLIENTS.machine, grantTypes: [grant] }],
    });
    const ask = async (wanted: string): Promise<unknown> => {
      const query = new URLSearchParams({ grant_type: grant, wanted }).toString();
      const { body } = await send(host, query, ['machine', 'machine-secret']);
      return (body as { scope?: string; error?: string }).scope ?? (body as { error?: string }).error;
    };
    expect(await ask('jobs:run')).toBe('jobs:run');
    expect(await ask('jobs:run typo')).toBe('invalid_scope');
    expect(await ask('typo')).toBe('invalid_scope');
  });

  it.each(['https://a.example/?a=b?c&code=x', 'https://a.example/?a?code=x', 'https://a.example/??state=x'])(
    'a redirect URI whose answer would be ambiguous is refused: %s',
    (uri) => {
      const clients = [{ ...CLIENTS.web, redirectUris: [uri] }];
      expect(() => createOAuthRouter({ ...minimal, clients })).toThrow(
        /in its query, which the response adds/,
      );
    },
  );

  it('client credentials without scope get none that needs a user', async () => {
    const scope = 'openid profile email address phone offline_access jobs:run';
    const host = makeHost(variant, { clients: [{ ...CLIENTS.machine, scope }] });
    expect((await post(host, '/token', 'machine', grant)).body.scope).toBe('jobs:run');
    expect((await post(host, '/token', 'machine', { ...grant, scope: ' ' })).body.scope).toBe('jobs:run');
  });

  it('a form on another site, which brings no cookie along, is continued by GET', async () => {
    const host = makeHost(variant, {
      authenticate: (req) => (req.headers.cookie ? { id: 'alice' } : undefined),
    });
    for (const more of [{}, { prompt: 'none' }, { state: 's'.repeat(3000) }]) {
      const form = authorizationForm('web', pkce(), more);
      const posted = await request(host.app)
        .post(`${host.base}/authorize`)
        .set('Origin', 'https://app.example.com')
        .type('form')
        .send(form);
      expect(posted.status).toBe(303);
      const back = await request(host.app).get(posted.headers.location!).set('Cookie', 'session=alice');
      expect(answerOf(back)).toMatchObject({ code: expect.any(String) as string, state: form.state });
      if (more.prompt === 'none') continue;
      const nobody = await request(host.app).get(posted.headers.location!);
      expect(nobody.headers.location).toMatch(/^\/login\?/);
    }
    const silent = authorizationForm('web', pkce(), { prompt: 'none' });
    const posted = await request(host.app).post(`${host.base}/authorize`).type('form').send(silent);
    expect(answerOf(await request(host.app).get(posted.headers.location!)).error).toBe('login_required');
  });

  it('a browser that comes back from the login gets a page that ends the chain of redirects', async () => {
    const host = makeHost(variant);
    host.user = undefined;
    const toLogin = await authorize(host, authorizationForm('web', pkce()));
    host.user = { id: 'alice' };
    const back = answerOf(toLogin).return_to!;
    const visit = (url: string, destination = 'document'): request.Test =>
      request(host.app).get(url).set('Sec-Fetch-Mode', 'navigate').set('Sec-Fetch-Dest', destination);
    const page = await visit(back);
    expect([page.status, page.headers.location]).toEqual([200, undefined]);
    const next = /http-equiv="refresh" content="0; url=([^"]+)"/
      .exec(page.text)![1]!
      .replaceAll('&amp;', '&');
    expect(
      answerOf(
        await visit(new URL(next, `${host.issuer}/authorize`).href.replace('http://localhost:3000', '')),
      ),
    ).toHaveProperty('code');
    // A frame could not show the page; a repeated mark must not keep the browser there.
    for (const response of [await visit(back, 'iframe'), await visit(`${back}&continued=1&continued=1`)])
      expect([response.status, response.text]).toEqual([302, expect.not.stringContaining('http-equiv')]);
    // A program, and a request that does not come back from anywhere, is redirected at once.
    expect((await request(host.app).get(back)).status).toBe(302);
    const first = new URLSearchParams(authorizationForm('web', pkce())).toString();
    expect((await visit(`${host.base}/authorize?${first}`)).status).toBe(302);
  });

  describe('the paths of the host', () => {
    const paths = {
      token: '/oauth/token',
      logout: '/v2/logout',
      jwks: '/.well-known/jwks.json',
      authorize: '/go',
    };

    it('are in the metadata, in DPoP proofs, in assertions and in resume URLs', async () => {
      const key = await clientKey();
      const host = makeHost(variant, {
        paths,
        endSession: () => undefined,
        clients: [CLIENTS.web, CLIENTS.machine, CLIENTS.spa],
      });
      const { body: metadata } = await request(host.app).get(
        `${host.base}/.well-known/oauth-authorization-server`,
      );
      expect(metadata).toMatchObject({
        authorization_endpoint: `${host.issuer}/go`,
        token_endpoint: `${host.issuer}/oauth/token`,
        end_session_endpoint: `${host.issuer}/v2/logout`,
        jwks_uri: `${host.issuer}/.well-known/jwks.json`,
        userinfo_endpoint: `${host.issuer}/userinfo`,
      });
      const proof = await dpopProof(key, { url: `${host.issuer}/oauth/token`, now: host.now });
      const { body } = await post(host, '/oauth/token', 'machine', grant).set('DPoP', proof);
      expect(body).toMatchObject({ token_type: 'DPoP' });
      const elsewhere = await dpopProof(key, { url: `${host.issuer}/token`, now: host.now });
      expect((await post(host, '/oauth/token', 'machine', grant).set('DPoP', elsewhere)).body.error).toBe(
        'invalid_dpop_proof',
      );
      expect((await post(host, '/token', 'machine', grant)).status).toBe(404);
      host.user = undefined;
      const form = new URLSearchParams(authorizationForm('web', pkce())).toString();
      const toLogin = await request(host.app).get(`${host.base}/go?${form}`);
      const back = answerOf(toLogin).return_to!;
      expect([back.startsWith(`${host.base}/go?`), host.oauth.isResumeUrl(back)]).toEqual([true, true]);
      host.user = { id: 'alice' };
      expect(answerOf(await request(host.app).get(back))).toHaveProperty('code');
      expect((await request(host.app).get(`${host.base}/.well-known/jwks.json`)).body).toHaveProperty('keys');
    });

    it.each<[string, object, RegExp]>([
      [
        'two endpoints on one path',
        { token: '/x', revoke: '/X' },
        /"paths.token" is the path of another endpoint/,
      ],
      [
        'the path of another endpoint',
        { token: '/authorize' },
        /"paths.token" is the path of another endpoint: \/authorize/,
      ],
      ['the path of the metadata', { jwks: '/.well-known/openid-configuration' }, /path of another endpoint/],
      ['the path of a provider', { token: '/authorize/token' }, /path of a provider below \/authorize/],
      ['no slash', { token: 'token' }, /plain segments/],
      ['a slash at the end', { token: '/token/' }, /plain segments/],
      ['an empty segment', { token: '/a//b' }, /plain segments/],
      ['a segment that proxies remove', { token: '/a/../b' }, /plain segments/],
      ['a query', { token: '/token?x' }, /plain segments/],
      ['an encoded character', { token: '/a%2Fb' }, /plain segments/],
      ['an unknown endpoint', { tokens: '/x' }, /did you mean "paths.token"/],
    ])('%s is an error at the start', (_what, wrong, message) => {
      expect(() => createOAuthRouter({ ...minimal, paths: wrong })).toThrow(message);
    });
  });

  describe('hosts of development', () => {
    const { NODE_ENV } = process.env;
    afterEach(() => {
      process.env.NODE_ENV = NODE_ENV;
    });
    const start = (issuer: string, more: object = {}): unknown =>
      createOAuthRouter({ ...minimal, secrets: undefined, issuer, ...more });

    it('names below localhost are this machine', () => {
      expect(start('http://auth.localhost:3000')).toBeInstanceOf(Function);
      expect(() => start('http://localhost.example.com')).toThrow(/must be https/);
    });

    it.each(['http://192.168.1.7:3000', 'http://api:3000/oauth'])(
      '%s needs an option, which production refuses',
      (issuer) => {
        expect(() => start(issuer)).toThrow(/must be https/);
        expect(start(issuer, { allowHttp: true })).toBeInstanceOf(Function);
        process.env.NODE_ENV = 'production';
        expect(() => start(issuer, { allowHttp: true })).toThrow(/"allowHttp" must not be set in production/);
      },
    );
  });

  it.each<[string, object, RegExp]>([
    [
      'one resource, written in two ways',
      { resources: ['https://api.example.com/'], defaultAudience: 'https://api.example.com' },
      /"resources" contains https:\/\/api.example.com\/ twice/,
    ],
    [
      'a resource with the type of ID tokens, and a client of that name',
      {
        resources: [{ identifier: 'https://c.example.com', accessTokenType: 'JWT' }],
        clients: [{ clientId: 'https://c.example.com', redirectUris: ['https://c.example.com/cb'] }],
      },
      /which is a client too/,
    ],
    ['a parameter of the protocol for JSON', { jsonRedirectParameter: 'response_mode' }, /of the protocol/],
    ['the mark of a continued request', { jsonRedirectParameter: 'continued' }, /of the protocol/],
  ])('%s is an error at the start', (_what, wrong, message) => {
    expect(() => createOAuthRouter({ ...minimal, ...wrong })).toThrow(message);
    expect(createOAuthRouter({ ...minimal, resources: ['urn:x'], defaultAudience: 'urn:x' })).toBeDefined();
  });

  it('a resource may expect the type of ID tokens, and gets no other; ID tokens are no access tokens there', async () => {
    const spring = 'https://spring.example.com';
    const options: HostOptions = {
      resources: [{ identifier: spring, accessTokenType: 'JWT' }, ORDERS],
      protect: (app, oauth) => {
        app.get('/spring', oauth.requireToken({ audience: spring }), (_req, res) => void res.json('ok'));
        app.get('/orders', oauth.requireToken({ audience: ORDERS }), (_req, res) => void res.json('ok'));
      },
    };
    const host = openidHost(variant, options);
    const typeOf = (token: string): unknown => jose.decodeProtectedHeader(token).typ;
    const tokenFor = async (resource: string): Promise<string> =>
      (await getTokens(host, 'web', { scope: 'openid orders:read', resource })).access_token;
    const [plain, usual] = [await tokenFor(spring), await tokenFor(ORDERS)];
    expect([typeOf(plain), typeOf(usual)]).toEqual(['JWT', 'at+jwt']);
    const issued = { subject: 'alice', clientId: 'web', audience: `${spring}/` };
    expect(typeOf(host.oauth.issueAccessToken(issued))).toBe('JWT');
    const call = async (path: string, token: string): Promise<number> =>
      (await request(host.app).get(path).set('Authorization', `Bearer ${token}`)).status;
    expect([
      await call('/spring', plain),
      await call('/orders', usual),
      await call('/orders', plain),
    ]).toEqual([200, 200, 401]);
    const { body } = await redeem(host, 'web', await getCode(host, 'web', { scope: 'openid' }));
    expect(await call('/spring', (body as { id_token: string }).id_token)).toBe(401);
    // Nor is such an access token an ID token.
    const hint = await authorize(host, authorizationForm('web', pkce(), { id_token_hint: plain }));
    expect(answerOf(hint).error).toBe('invalid_request');
  });
});
