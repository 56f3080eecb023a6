import request from 'supertest';

import {
  authorizationForm,
  authorize,
  getTokens,
  makeHost,
  ORDERS,
  pkce,
  VARIANTS,
  type Host,
  type HostOptions,
} from '../support/host';

const MCP = 'http://localhost:3000/mcp';
const WELL_KNOWN = '/.well-known/oauth-protected-resource';

const protect: HostOptions['protect'] = (app, oauth) => {
  app.get('/mcp', oauth.requireToken({ audience: MCP, scope: 'tools:read' }), (req, res) => {
    res.json(req.oauth.subject);
  });
  app.get(
    '/mcp/admin',
    oauth.requireToken({ audience: MCP, scope: 'tools:read tools:write' }),
    (_req, res) => {
      res.json('admin');
    },
  );
  app.get('/bank', oauth.requireToken({ acr: ['mfa', 'phr'], maxAge: 60 }), (req, res) => {
    res.json(req.oauth.claims.acr);
  });
  app.get('/bound', oauth.requireToken({ audience: 'https://bound.example.com' }), (_req, res) => {
    res.json('bound');
  });
};

const web = {
  clientId: 'web',
  clientSecret: 'web-secret',
  redirectUris: ['https://app.example.com/callback'],
  scope: 'profile tools:read tools:write',
  firstParty: true,
};

describe.each(VARIANTS)('metadata of protected resources (RFC 9728) on $store at the $mount', (variant) => {
  let host: Host;
  beforeEach(() => {
    host = makeHost(variant, {
      protect,
      clients: [web],
      resources: [
        {
          identifier: MCP,
          name: 'Tools & more',
          documentationUri: 'https://docs.example.com/',
          scopes: ['tools:read', 'tools:write'],
        },
        ORDERS,
        { identifier: 'https://bound.example.com', dpop: 'required' },
        'urn:example:not-a-url',
      ],
    });
  });

  const get = (path: string): request.Test => request(host.app).get(path);
  const call = (path: string, token?: string): request.Test =>
    token === undefined ? get(path) : get(path).set('Authorization', `Bearer ${token}`);

  it('describes each resource at its path-inserted form', async () => {
    const { status, body, headers } = await get(`${WELL_KNOWN}/mcp`);
    expect([status, body]).toEqual([
      200,
      {
        resource: MCP,
        authorization_servers: [host.issuer],
        resource_name: 'Tools & more',
        resource_documentation: 'https://docs.example.com/',
        scopes_supported: ['tools:read', 'tools:write'],
        bearer_methods_supported: ['header'],
        dpop_signing_alg_values_supported: expect.arrayContaining(['ES256']),
      },
    ]);
    expect(headers['access-control-allow-origin']).toBe('*');
    expect((await get(`${WELL_KNOWN}/other`)).status).toBe(404);
    expect((await request(host.app).post(`${WELL_KNOWN}/mcp`)).status).toBe(405);
  });

  it('describes the resource of the origin, or the first one here, at the root', async () => {
    const { body } = await get(WELL_KNOWN);
    // With the issuer at the root, its own audience is the origin.
    expect(body.resource).toBe(variant.mount === 'root' ? host.issuer : MCP);
    expect((await get(WELL_KNOWN + host.base)).body.resource).toBe(host.issuer);
  });

  it('takes nothing from Host or X-Forwarded headers', async () => {
    const { body } = await get(`${WELL_KNOWN}/mcp`).set({
      Host: 'evil.example',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'https',
    });
    expect(JSON.stringify(body)).not.toContain('evil');
  });

  it('a challenge names the metadata and the scope', async () => {
    const metadata = `resource_metadata="http://localhost:3000${WELL_KNOWN}/mcp"`;
    const none = await call('/mcp');
    expect([none.status, none.headers['www-authenticate']]).toEqual([
      401,
      `Bearer scope="tools:read", ${metadata}`,
    ]);
    const invalid = await call('/mcp', 'garbage');
    expect(invalid.status).toBe(401);
    expect(invalid.headers['www-authenticate']).toMatch(/^Bearer error="invalid_token", error_description="/);
    expect(invalid.headers['www-authenticate']).toContain(`, scope="tools:read", ${metadata}`);
  });

  it('403 names all scope values that the operation needs', async () => {
    const { access_token: token } = await getTokens(host, 'web', { resource: MCP, scope: 'tools:read' });
    expect((await call('/mcp', token)).status).toBe(200);
    const refused = await call('/mcp/admin', token);
    expect(refused.status).toBe(403);
    expect(refused.headers['www-authenticate']).toMatch(
      /^Bearer error="insufficient_scope", .*scope="tools:read tools:write", resource_metadata="/,
    );
  });

  it('a resource that requires DPoP says so', async () => {
    const { headers } = await call('/bound');
    expect(headers['www-authenticate']).toMatch(/^DPoP resource_metadata=".*", algs="/);
  });

  it('a resource that requires DPoP refuses a token that is not bound', async () => {
    const bare = host.oauth.issueAccessToken({
      subject: 'alice',
      clientId: 'web',
      audience: 'https://bound.example.com',
    });
    const { status, headers } = await call('/bound', bare);
    expect([status, headers['www-authenticate']]).toEqual([
      401,
      expect.stringMatching(/^DPoP error="invalid_token"/),
    ]);
  });

  it('an app may serve several hosts, each with resources of its own', async () => {
    const own = makeHost(variant, {
      resources: [
        { identifier: 'https://mcp.example.com', name: 'M' },
        { identifier: 'https://mcp.example.com/mcp', name: 'M2' },
        { identifier: 'http://localhost:3000/mcp', name: 'L' },
        { identifier: 'http://localhost:3000/q?tenant=a', name: 'A' },
        { identifier: 'http://localhost:3000/q?tenant=b', name: 'B' },
        { identifier: 'http://localhost:3000/slash/', name: 'S/' },
        { identifier: 'http://localhost:3000/slash', name: 'S' },
      ],
    });
    const nameAt = async (path: string, Host: string): Promise<unknown> => {
      const { body } = await request(own.app)
        .get(WELL_KNOWN + path)
        .set({ Host });
      return (body as { resource_name?: string }).resource_name;
    };
    expect(await nameAt('', 'mcp.example.com')).toBe('M');
    expect(await nameAt('/mcp', 'mcp.example.com')).toBe('M2');
    // Any other host means that of the issuer: a proxy may have changed it, and an attacker can.
    for (const other of ['localhost:3000', 'internal:8080', 'evil.example'])
      expect(await nameAt('/mcp', other)).toBe('L');
    expect(await nameAt('/q?tenant=a', 'localhost:3000')).toBe('A');
    expect(await nameAt('/q?tenant=b', 'localhost:3000')).toBe('B');
    expect(await nameAt('/q?tenant=c', 'localhost:3000')).toBeUndefined();
    expect(await nameAt('/slash', 'localhost:3000')).toBe('S');
    expect(await nameAt('/slash/', 'localhost:3000')).toBe('S/');
  });

  it('an audience may be written in any equivalent form, and an unknown one is mentioned', async () => {
    const warnings: string[] = [];
    const own = makeHost(variant, {
      resources: ['https://api.example.com'],
      logger: {
        error: () => undefined,
        warn: (_facts, text) => warnings.push(text),
        info: () => undefined,
        debug: () => undefined,
      },
      protect: (app, oauth) => {
        app.get(
          '/api',
          oauth.requireToken({ audience: 'https://API.example.com/' }),
          (_req, res) => void res.json('api'),
        );
        app.get(
          '/typo',
          oauth.requireToken({ audience: 'https://api.example.com/typo' }),
          (_req, res) => void res.json('typo'),
        );
      },
    });
    const token = own.oauth.issueAccessToken({
      subject: 'a',
      clientId: 'web',
      audience: 'https://api.example.com',
    });
    expect((await request(own.app).get('/api').set('Authorization', `Bearer ${token}`)).status).toBe(200);
    expect(warnings.filter((text) => text.includes('/typo'))).toHaveLength(1);
    expect(() => makeHost(variant, { defaultAudience: 'https://not a url', resources: [] })).not.toThrow();
  });

  describe('step-up (RFC 9470)', () => {
    it('tells what is needed, and the authorization endpoint asks for it', async () => {
      host.user = { id: 'alice', acr: 'pwd', authTime: Math.floor(host.now / 1000) };
      const { access_token: weak } = await getTokens(host, 'web');
      const refused = await call('/bank', weak);
      expect([refused.status, refused.body.error]).toEqual([401, 'insufficient_user_authentication']);
      expect(refused.headers['www-authenticate']).toMatch(
        /^Bearer error="insufficient_user_authentication", .*acr_values="mfa phr", max_age="60"/,
      );

      const asked = await authorize(
        host,
        authorizationForm('web', pkce(), { acr_values: 'mfa phr', max_age: '60' }),
      );
      const login = new URL(asked.headers.location!, host.issuer);
      expect(login.pathname).toBe('/login');
      expect(login.searchParams.get('acr_values')).toBe('mfa phr');
      expect(login.searchParams.get('prompt')).toBe('login');
      host.user = { id: 'alice', acr: 'mfa', authTime: Math.floor(host.now / 1000) };
      const { access_token: strong } = await getTokens(host, 'web', { acr_values: 'mfa phr', max_age: '60' });
      expect((await call('/bank', strong)).body).toBe('mfa');
      host.pass(61);
      const late = await call('/bank', strong);
      expect([late.status, late.body.error]).toEqual([401, 'insufficient_user_authentication']);
    });

    it('is not asked for twice, nor for kinds of sign-in that nobody knows', async () => {
      const go = async (acr_values: string): Promise<string> => {
        const { headers } = await authorize(host, authorizationForm('web', pkce(), { acr_values }));
        return headers.location!;
      };
      // Nobody is signed in: the login gets the values, and its answer is taken as it is.
      host.user = undefined;
      const login = new URL(await go('mfa '), host.issuer);
      host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
      const resumed = await request(host.app).get(login.searchParams.get('return_to')!);
      expect(resumed.headers.location).toContain('code=');
      for (const user of [{ id: 'alice' }, { id: 'alice', acr: null }, { id: 'alice', acr: 'pwd' }]) {
        host.user = user;
        expect(await go('urn:other:1 2')).toContain('code=');
        expect(await go('mfa')).toContain('/login?');
        expect(await go(' mfa  phr ')).toContain('/login?');
      }
      host.user = { id: 'alice', acr: 'phr' };
      expect(await go('mfa phr')).toContain('code=');
    });

    it('an API in another process: the host says which kinds its login knows', async () => {
      const own = makeHost(variant, { acrValues: ['gold'], clients: [web] });
      const asked = await authorize(own, authorizationForm('web', pkce(), { acr_values: 'gold' }));
      expect(asked.headers.location).toContain('/login?');
      const { body } = await request(own.app).get(`/.well-known/openid-configuration${own.base}`);
      expect(body.acr_values_supported).toEqual(['gold']);
    });

    it('a token without a sign-in does not meet it', async () => {
      const token = host.oauth.issueAccessToken({ subject: 'alice', clientId: 'web', claims: {} });
      expect((await call('/bank', token)).status).toBe(401);
    });
  });
});
