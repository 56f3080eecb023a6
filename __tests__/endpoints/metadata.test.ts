import request from 'supertest';

import { claimsOf, getTokens, makeHost, refresh, MOUNTS, type HostOptions } from '../support/host';
import { keyPair } from '../support/keys';

describe.each(MOUNTS)('metadata (RFC 8414) at the $mount', (variant) => {
  const host = makeHost(variant);
  const methods = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt'];
  const asymmetric = ['ES', 'RS', 'PS']
    .flatMap((kind) => ['256', '384', '512'].map((size) => kind + size))
    .concat('EdDSA', 'Ed25519');
  const expected = {
    issuer: host.issuer,
    authorization_endpoint: `${host.issuer}/authorize`,
    token_endpoint: `${host.issuer}/token`,
    jwks_uri: `${host.issuer}/jwks`,
    userinfo_endpoint: `${host.issuer}/userinfo`,
    pushed_authorization_request_endpoint: `${host.issuer}/par`,
    revocation_endpoint: `${host.issuer}/revoke`,
    introspection_endpoint: `${host.issuer}/introspect`,
    scopes_supported: [
      'openid',
      'orders:read',
      'profile',
      'orders:write',
      'jobs:run',
      'jobs:read',
      'offline_access',
    ],
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'form_post', 'web_message', 'jwt', 'query.jwt', 'form_post.jwt'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: [...methods, 'none'],
    token_endpoint_auth_signing_alg_values_supported: [...asymmetric, 'HS256', 'HS384', 'HS512'],
    revocation_endpoint_auth_methods_supported: [...methods, 'none'],
    revocation_endpoint_auth_signing_alg_values_supported: [...asymmetric, 'HS256', 'HS384', 'HS512'],
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: [...asymmetric, 'HS256', 'HS384', 'HS512'],
    authorization_response_iss_parameter_supported: true,
    authorization_signing_alg_values_supported: ['ES256', 'RS256'],
    id_token_signing_alg_values_supported: ['ES256', 'RS256'],
    subject_types_supported: ['public'],
    claim_types_supported: ['normal'],
    claims_supported: ['sub'],
    claims_parameter_supported: true,
    prompt_values_supported: ['none', 'login', 'consent', 'select_account'],
    request_parameter_supported: true,
    request_uri_parameter_supported: false,
    request_object_signing_alg_values_supported: asymmetric,
    dpop_signing_alg_values_supported: asymmetric,
    tls_client_certificate_bound_access_tokens: false,
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
  };

  it.each([
    ['the path-inserted form', `/.well-known/oauth-authorization-server${host.base}`],
    ['the appended form', `${host.base}/.well-known/oauth-authorization-server`],
    ['the form of OpenID Connect Discovery', `${host.base}/.well-known/openid-configuration`],
    ['its path-inserted form', `/.well-known/openid-configuration${host.base}`],
  ])('is at %s, and says what is there', async (_name, path) => {
    const response = await request(host.app).get(path);
    expect(response.status).toBe(200);
    expect(response.body).toEqual(expected);
    expect(response.headers['access-control-allow-origin']).toBe('*');
    expect((await request(host.app).head(path)).status).toBe(200);
    const posted = await request(host.app).post(path);
    expect([posted.status, posted.headers.allow]).toEqual([405, 'GET, HEAD, OPTIONS']);
  });

  it('takes nothing from Host or X-Forwarded headers', async () => {
    host.app.set('trust proxy', true);
    const response = await request(host.app).get(`/.well-known/oauth-authorization-server${host.base}`).set({
      Host: 'evil.example',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Prefix': '/evil',
    });
    expect(response.body).toEqual(expected);
  });

  it('the issuer is what was configured, byte for byte', async () => {
    for (const issuer of [
      'http://localhost:3000',
      'http://localhost:3000/',
      'http://localhost:3000/a/',
      'http://localhost:3000/a%20b',
    ]) {
      const own = makeHost(variant, { issuer });
      const path = new URL(issuer).pathname.replace(/\/$/, '');
      const { body } = await request(own.app).get(`/.well-known/oauth-authorization-server${path}`);
      expect(body).toMatchObject({ issuer, token_endpoint: `${issuer.replace(/\/$/, '')}/token` });
    }
  });

  it('knows the grant types of the host', async () => {
    const own = makeHost(variant, { grants: { 'urn:example:x': () => undefined } });
    const { body } = await request(own.app).get(`/.well-known/oauth-authorization-server${own.base}`);
    expect(body.grant_types_supported).toContain('urn:example:x');
  });

  it('passes on what is not its own', async () => {
    for (const path of [
      '/other',
      `${host.base}/nothing`,
      '/.well-known/security.txt',
      '/.well-known/oauth-authorization-server/x',
      `${host.base}/Token`,
    ]) {
      const response = await request(host.app).get(path);
      expect(response.status).toBe(path === '/other' ? 200 : 404);
    }
  });
});

describe('GET /jwks (RFC 7517)', () => {
  const variant = { store: 'memory', mount: 'root' } as const;

  it('publishes the public half of every key, and nothing of the private one', async () => {
    const ec = keyPair().privateKey;
    const rsa = keyPair('RS256').privateKey;
    const host = makeHost(variant, { signingKeys: [{ key: rsa, alg: 'PS256', kid: 'one' }, ec] });
    const response = await request(host.app).get('/jwks');
    const { keys } = response.body as { keys: Record<string, unknown>[] };
    expect(keys).toEqual([
      { kty: 'RSA', kid: 'one', alg: 'PS256', use: 'sig', n: expect.any(String) as string, e: 'AQAB' },
      {
        kty: 'EC',
        crv: 'P-256',
        kid: expect.any(String) as string,
        alg: 'ES256',
        use: 'sig',
        x: expect.any(String) as string,
        y: expect.any(String) as string,
      },
    ]);
    expect(response.headers['access-control-allow-origin']).toBe('*');
    const { access_token: token } = await getTokens(host);
    expect(JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString())).toMatchObject({
      alg: 'PS256',
      kid: 'one',
    });
  });

  it('a key that stands second verifies what it signed when it stood first', async () => {
    const [old, next] = [0, 1].map(() => keyPair().privateKey) as [never, never];
    const protect: HostOptions['protect'] = (app, oauth) => {
      app.get('/api', oauth.requireToken(), (req, res) => void res.json(req.oauth.subject));
    };
    const before = makeHost(variant, { signingKeys: [old] });
    const { access_token: token } = await getTokens(before);
    const rotated = makeHost(variant, { signingKeys: [next, old], protect });
    expect((await request(rotated.app).get('/api').set('Authorization', `Bearer ${token}`)).body).toBe(
      'alice',
    );
    const removed = makeHost(variant, { signingKeys: [next], protect });
    expect((await request(removed.app).get('/api').set('Authorization', `Bearer ${token}`)).status).toBe(401);
  });

  it('the key id is the thumbprint of RFC 7638', async () => {
    // The example of RFC 7517 appendix A.2, with the thumbprint that jose computes.
    const { calculateJwkThumbprint } = await import('jose');
    const host = makeHost(variant);
    const { body } = await request(host.app).get('/jwks');
    const [key] = (body as { keys: [{ kid: string; kty: string; crv: string; x: string; y: string }] }).keys;
    expect(key.kid).toBe(await calculateJwkThumbprint(key));
  });
});

describe('secrets', () => {
  it('are rotated by appending, promoting and removing', async () => {
    const variant = { store: 'redis', mount: 'root' } as const;
    const [old, next] = [
      'the old secret that is long enough for it',
      'the next secret that is long enough for it',
    ];
    const first = makeHost(variant, { secrets: [old] });
    const tokens = await getTokens(first);
    const both = makeHost(variant, { adapter: first.adapter, secrets: [next, old] });
    const renewed = await refresh(both, 'web', tokens.refresh_token);
    expect(renewed.status).toBe(200);
    const removed = makeHost(variant, { adapter: first.adapter, secrets: [next] });
    expect((await refresh(removed, 'web', tokens.refresh_token)).status).toBe(400);
    expect((await refresh(removed, 'web', renewed.body.refresh_token as string)).status).toBe(200);
    expect(claimsOf(renewed.body.access_token as string).sub).toBe('alice');
  });
});
