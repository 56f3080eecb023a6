import { createHmac, createSecretKey } from 'node:crypto';

import { sign, verify } from 'jsonwebtoken';
import request from 'supertest';

import {
  CLIENTS,
  claimsOf,
  getTokens,
  isActive,
  makeHost,
  post,
  SECRET,
  VARIANTS,
  type HostOptions,
} from '../support/host';
import { OPENID_CLIENTS, verified } from '../support/openid';
import { keyPair } from '../support/keys';

const KEY = 'a secret that resource servers share, of 32 bytes';
const EC = keyPair().privateKey;
const SHARED = { alg: 'HS256', key: KEY } as const;
const variant = VARIANTS[0]!;

const headerOf = (token: string): { alg: string; kid: string; typ: string } =>
  JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as never;

describe('access tokens by a shared secret (RFC 7518 §3.2)', () => {
  it.each([
    ['as text', SHARED],
    ['as a KeyObject', { alg: 'HS256', key: createSecretKey(Buffer.from(KEY)) }],
    ['as a JWK', { kty: 'oct', k: Buffer.from(KEY).toString('base64url'), alg: 'HS256' }],
    [
      'as the JWK in JSON',
      JSON.stringify({ kty: 'oct', k: Buffer.from(KEY).toString('base64url'), alg: 'HS256' }),
    ],
  ])('are signed by it, %s', async (_what, key) => {
    const host = makeHost(variant, {
      signingKeys: [key],
      protect: (app, oauth) => app.get('/api', oauth.requireToken(), (_req, res) => void res.json('in')),
    });
    const { access_token: token } = await getTokens(host);
    expect(verify(token, KEY, { algorithms: ['HS256'] })).toMatchObject({ sub: 'alice', iss: host.issuer });
    expect(headerOf(token)).toMatchObject({ alg: 'HS256', typ: 'at+jwt' });
    expect((await request(host.app).get('/api').set('Authorization', `Bearer ${token}`)).status).toBe(200);
    expect(await isActive(host, token)).toBe(true);
  });

  it('publish nothing, and promise nothing that a client would have to verify', async () => {
    const host = makeHost(variant, { signingKeys: [SHARED] });
    const { body } = await request(host.app).get('/jwks');
    expect(body).toEqual({ keys: [] });
    const { body: metadata, text } = await request(host.app).get('/.well-known/openid-configuration');
    expect(metadata).not.toHaveProperty('id_token_signing_alg_values_supported');
    expect((metadata as { scopes_supported: string[] }).scopes_supported).not.toContain('openid');
    expect((metadata as { response_modes_supported: string[] }).response_modes_supported).toEqual([
      'query',
      'form_post',
      'web_message',
    ]);
    expect(text).not.toContain('HS256"],"id_token');
    const kid = headerOf((await getTokens(host)).access_token).kid;
    const jwk = JSON.stringify({ k: Buffer.from(KEY).toString('base64url'), kty: 'oct' });
    expect([kid.length, kid.includes(KEY), kid === jwk]).toEqual([43, false, false]);
  });

  it('beside another key: ID tokens, logout tokens and JARM have that one', async () => {
    const host = makeHost(variant, { signingKeys: [SHARED, EC], clients: OPENID_CLIENTS });
    const tokens = (await getTokens(host, 'spa', { scope: 'openid' })) as unknown as Record<string, string>;
    expect(headerOf(tokens.access_token!).alg).toBe('HS256');
    const { header } = await verified(host, tokens.id_token!, 'spa');
    expect(header.alg).toBe('ES256');
    const { body } = await request(host.app).get('/jwks');
    expect((body as { keys: { kty: string }[] }).keys.map(({ kty }) => kty)).toEqual(['EC']);
    const { body: metadata } = await request(host.app).get('/.well-known/openid-configuration');
    expect(metadata).toMatchObject({
      id_token_signing_alg_values_supported: ['ES256'],
      authorization_signing_alg_values_supported: ['ES256'],
    });
  });

  it('who has the secret cannot make an ID token of it', async () => {
    const host = makeHost(variant, { signingKeys: [SHARED, EC], clients: OPENID_CLIENTS });
    const tokens = (await getTokens(host, 'web', { scope: 'openid' })) as unknown as Record<string, string>;
    const { kid } = headerOf(tokens.access_token!);
    const claims = claimsOf(tokens.id_token!);
    const forged = sign(claims, KEY, { algorithm: 'HS256', header: { alg: 'HS256', kid, typ: 'JWT' } });
    const at = (hint: string): request.Test =>
      request(host.app).get(
        `/authorize?${new URLSearchParams({ client_id: 'web', id_token_hint: hint, response_type: 'code', code_challenge: 'a'.repeat(43), code_challenge_method: 'S256' }).toString()}`,
      );
    expect((await at(tokens.id_token!)).headers.location).toMatch(/code=/);
    expect((await at(forged)).headers.location).toMatch(/error=invalid_request/);
  });

  it('the algorithm is that of the key: not HS256 by the public key of another, not ES256’s kid', async () => {
    const host = makeHost(variant, {
      signingKeys: [EC, SHARED],
      protect: (app, oauth) => app.get('/api', oauth.requireToken(), (_req, res) => void res.json('in')),
    });
    const own = host.oauth.issueAccessToken({ subject: 'alice', clientId: 'web' });
    const { body } = await request(host.app).get('/jwks');
    const [jwk] = (body as { keys: { kid: string }[] }).keys;
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const forge = (kid: string, secret: string | Buffer): string => {
      const input = `${part({ alg: 'HS256', typ: 'at+jwt', kid })}.${own.split('.')[1]!}`;
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
    };
    for (const token of [forge(jwk!.kid, KEY), forge(jwk!.kid, JSON.stringify(jwk)), forge('x', KEY)]) {
      const response = await request(host.app).get('/api').set('Authorization', `Bearer ${token}`);
      expect(response.status).toBe(401);
    }
    expect((await request(host.app).get('/api').set('Authorization', `Bearer ${own}`)).status).toBe(200);
  });

  it('the secret of one resource makes tokens for that one, and for nothing else', async () => {
    const old = 'https://old.example';
    const host = makeHost(variant, {
      signingKeys: [EC, SHARED],
      clients: OPENID_CLIENTS,
      resources: [{ identifier: old, signingAlgorithm: 'HS256' }],
      protect: (app, oauth) => {
        app.get('/api', oauth.requireToken(), (_req, res) => void res.json('in'));
        app.get('/old', oauth.requireToken({ audience: old }), (_req, res) => void res.json('in'));
      },
    });
    const { body } = await post(host, '/token', 'machine', {
      grant_type: 'client_credentials',
      resource: old,
    });
    const { kid } = headerOf((body as { access_token: string }).access_token);
    const now = Math.floor(host.now / 1000);
    const forge = (aud: string | string[]): string =>
      sign(
        {
          iss: host.issuer,
          sub: 'victim',
          aud,
          exp: now + 60,
          iat: now,
          jti: 'x',
          client_id: 'web',
          scope: 'openid',
        },
        KEY,
        {
          algorithm: 'HS256',
          header: { alg: 'HS256', kid, typ: 'at+jwt' },
        },
      );
    const at = async (path: string, token: string): Promise<number> =>
      (await request(host.app).get(path).set('Authorization', `Bearer ${token}`)).status;
    expect(await at('/old', forge(old))).toBe(200);
    // Nor for what opens the accounts of this server, whatever the audience.
    expect(await at('/userinfo', forge(old))).toBe(401);
    for (const aud of [host.issuer, [old, host.issuer], 'https://other.example', []]) {
      for (const path of ['/api', '/old', '/userinfo']) expect(await at(path, forge(aud))).toBe(401);
    }
  });

  it('a token for several is by the secret only if all of them share it; what is issued is accepted', async () => {
    const [old, other] = ['https://old.example', 'https://other.example'];
    for (const [signingKeys, algorithms] of [
      [[EC, SHARED], { old: 'HS256', other: undefined }],
      [[SHARED, EC], { old: undefined, other: 'ES256' }],
    ] as const) {
      const host = makeHost(variant, {
        signingKeys: [...signingKeys],
        multipleAudiences: true,
        resources: [
          { identifier: old, signingAlgorithm: algorithms.old },
          { identifier: other, signingAlgorithm: algorithms.other },
        ] as never,
        protect: (app, oauth) => {
          for (const audience of [old, other])
            app.get(
              `/${new URL(audience).host}`,
              oauth.requireToken({ audience }),
              (_req, res) => void res.json('in'),
            );
        },
      });
      const at = async (audience: string, token: string): Promise<number> =>
        (
          await request(host.app)
            .get(`/${new URL(audience).host}`)
            .set('Authorization', `Bearer ${token}`)
        ).status;
      const form = new URLSearchParams({ grant_type: 'client_credentials' });
      for (const resource of [old, other]) form.append('resource', resource);
      const { body } = await request(host.app)
        .post('/token')
        .auth('machine', 'machine-secret')
        .type('form')
        .send(form.toString());
      const both = (body as { access_token: string }).access_token;
      expect(headerOf(both).alg).toBe('ES256');
      expect([await at(old, both), await at(other, both)]).toEqual([200, 200]);
      expect(await isActive(host, both, 'machine')).toBe(true);
      for (const [audience, alg] of [
        [old, 'HS256'],
        [other, 'ES256'],
      ] as const) {
        const token = host.oauth.issueAccessToken({ subject: 'alice', clientId: 'web', audience });
        expect([headerOf(token).alg, await at(audience, token)]).toEqual([alg, 200]);
      }
    }
  });

  it('alone it makes no ID tokens, whoever asks, and no signed answers', async () => {
    const host = makeHost(variant, { signingKeys: [SHARED] });
    await host.adapter.saveClient!({
      clientId: 'stored',
      redirectUris: ['https://app.example.com/callback'],
      scope: 'openid profile',
      firstParty: true,
    });
    const at = async (more: object): Promise<request.Response> =>
      request(host.app).get(
        `/authorize?${new URLSearchParams({ client_id: 'stored', response_type: 'code', code_challenge: 'a'.repeat(43), code_challenge_method: 'S256', ...more }).toString()}`,
      );
    expect((await at({ scope: 'openid' })).headers.location).toContain('error=invalid_scope');
    expect((await at({ response_mode: 'jwt' })).headers.location).toContain('error=invalid_request');
    expect((await at({})).headers.location).toContain('code=');
  });

  it('a resource may have it alone', async () => {
    const host = makeHost(variant, {
      signingKeys: [EC, SHARED],
      resources: [{ identifier: 'https://old.example', signingAlgorithm: 'HS256' }],
    });
    const algOf = async (form: Record<string, string>): Promise<string> => {
      const { body } = await post(host, '/token', 'machine', { grant_type: 'client_credentials', ...form });
      return headerOf((body as { access_token: string }).access_token).alg;
    };
    expect(await algOf({})).toBe('ES256');
    expect(await algOf({ resource: 'https://old.example' })).toBe('HS256');
  });

  it.each<[string, HostOptions, string]>([
    ['short', { signingKeys: [{ alg: 'HS256', key: 'short' }] }, 'must have at least 32 bytes'],
    ['null', { signingKeys: [{ alg: 'HS256', key: null as never }] }, 'is not set'],
    ['not set', { signingKeys: [{ alg: 'HS256', key: undefined as never }] }, 'is not set'],
    [
      'a public key in PEM',
      { signingKeys: [{ alg: 'HS256', key: `-----BEGIN PUBLIC KEY-----${KEY}` }] },
      'is not a secret',
    ],
    ['one of the secrets', { signingKeys: [{ alg: 'HS256', key: SECRET }] }, 'contains one of the "secrets"'],
    ['a private key', { signingKeys: [{ alg: 'HS256', key: EC }] }, 'is not a secret key'],
    [
      'no secret of a JWK',
      { signingKeys: [{ alg: 'HS256', key: { ...EC.export({ format: 'jwk' }) } }] },
      'is not a secret key',
    ],
    [
      'for a client of OpenID Connect',
      { signingKeys: [SHARED], clients: [{ ...CLIENTS.spa, scope: 'openid' }] },
      'cannot sign ID tokens',
    ],
    [
      'missing for a resource',
      { signingKeys: [EC], resources: [{ identifier: 'https://old.example', signingAlgorithm: 'HS256' }] },
      'has no signing key',
    ],
  ])('a key that is %s is an error at the start', (_what, options, message) => {
    expect(() => makeHost(variant, options)).toThrow(message);
    expect(() => makeHost(variant, options)).not.toThrow(KEY);
  });
});
