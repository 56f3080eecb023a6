import { createHash } from 'node:crypto';

import express from 'express';
import * as jose from 'jose';

import {
  createTokenVerifier,
  OAuthConfigurationError,
  type TokenVerifierOptions,
} from 'express-oauth-router';

import { CLIENTS, listen, makeHost, ORDERS, post, type Host } from '../support/host';
import { clientKey, dpopProof, type ClientKey } from '../support/jose';
import { startProcess, type ServerProcess } from '../support/process';
import { keyPair } from '../support/keys';

/** A resource server in another process, which knows the issuer's URL and nothing else. */
const METADATA = `${ORDERS}/.well-known/oauth-protected-resource`;

describe('createTokenVerifier', () => {
  let host: Host;
  let close: () => Promise<void>;
  let origin: string;
  let issuer: string;
  const processes: ServerProcess[] = [];
  const closers: (() => Promise<void>)[] = [];
  const first = keyPair().privateKey;
  let jwksRequests = 0;

  beforeAll(async () => {
    const shell = express();
    ({ origin, close } = await listen(shell));
    issuer = `${origin}/oauth`;
    host = makeHost(
      { store: 'redis', mount: 'root' },
      {
        issuer,
        signingKeys: [first],
        resources: [
          { identifier: ORDERS, scopes: ['orders:read', 'jobs:run'] },
          { identifier: 'https://opaque.example.com', accessTokenFormat: 'opaque' },
        ],
        clients: [
          { ...CLIENTS.machine, scope: 'orders:read jobs:run' },
          { ...CLIENTS.api, introspectionAudiences: [ORDERS, 'https://opaque.example.com'] },
        ],
      },
    );
    shell.use('/oauth/jwks', (_req, _res, next) => {
      jwksRequests++;
      next();
    });
    shell.use('/oauth', host.oauth);
    // The helpers speak to an app of their own, where the issuer's path is the root.
    host.base = '/oauth';
    host.app = shell;
  });
  afterAll(async () => {
    await Promise.all([...processes.map(({ kill }) => kill), close, ...closers].map((end) => end()));
  });

  async function start(options: Partial<TokenVerifierOptions> = {}): Promise<string> {
    const started = await startProcess(
      'resource-process.ts',
      JSON.stringify({ issuer, audience: ORDERS, jwksUri: `${issuer}/jwks`, ...options }),
    );
    processes.push(started);
    return started.origin;
  }

  async function tokenFor(
    audience = ORDERS,
    { proof, scope }: { proof?: string; scope?: string } = {},
  ): Promise<string> {
    const test = post(host, '/token', 'machine', { grant_type: 'client_credentials', audience, scope });
    if (proof !== undefined) void test.set('DPoP', proof);
    const { body } = await test;
    return (body as { access_token: string }).access_token;
  }

  const call = (
    at: string,
    path: string,
    token: string,
    headers: Record<string, string> = {},
  ): Promise<Response> => fetch(at + path, { headers: { Authorization: `Bearer ${token}`, ...headers } });
  const answer = async (response: Response): Promise<unknown[]> => [
    response.status,
    ((await response.json()) as { error?: string }).error,
  ];

  describe('in a second process', () => {
    let api: string;
    beforeAll(async () => {
      api = await start();
    });

    it('lets a token through, and says whose it is', async () => {
      const response = await call(api, '/any', await tokenFor());
      expect([response.status, await response.json()]).toEqual([
        200,
        { subject: 'machine', clientId: 'machine', scope: ['orders:read', 'jobs:run'] },
      ]);
    });

    it('fetches the keys once', async () => {
      const before = jwksRequests;
      await Promise.all(Array.from({ length: 10 }, async () => call(api, '/any', await tokenFor())));
      expect(jwksRequests).toBe(before);
    });

    it('no token: a challenge without an error', async () => {
      const response = await fetch(`${api}/any`);
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([
        401,
        `Bearer resource_metadata="${METADATA}"`,
      ]);
    });

    it('a missing scope is 403', async () => {
      const token = await tokenFor(ORDERS, { scope: 'jobs:run' });
      expect(await answer(await call(api, '/orders', token))).toEqual([403, 'insufficient_scope']);
    });

    it.each<[string, () => Promise<string>]>([
      ['another audience', () => tokenFor(issuer)],
      ['an opaque token, without introspection', () => tokenFor('https://opaque.example.com')],
      ['nonsense', () => Promise.resolve('x.y.z')],
      [
        'none',
        async () => {
          const [, payload] = (await tokenFor()).split('.');
          return `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${payload!}.`;
        },
      ],
      [
        'HMAC with the public key',
        async () => {
          const token = await tokenFor();
          const jwk = (await (await fetch(`${issuer}/jwks`)).json()) as { keys: jose.JWK[] };
          return new jose.SignJWT(jose.decodeJwt(token))
            .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: jwk.keys[0]!.kid! })
            .sign(new TextEncoder().encode(JSON.stringify(jwk.keys[0])));
        },
      ],
      [
        'a key from its own header',
        async () => {
          const { privateKey, publicJwk } = await clientKey();
          return new jose.SignJWT(jose.decodeJwt(await tokenFor()))
            .setProtectedHeader({
              ...jose.decodeProtectedHeader(await tokenFor()),
              alg: 'ES256',
              jwk: publicJwk,
            })
            .sign(privateKey);
        },
      ],
      [
        'an ID token’s type',
        async () =>
          new jose.SignJWT(jose.decodeJwt(await tokenFor()))
            .setProtectedHeader({ ...jose.decodeProtectedHeader(await tokenFor()), alg: 'ES256', typ: 'JWT' })
            .sign(first),
      ],
      [
        'another issuer',
        async () =>
          new jose.SignJWT({ ...jose.decodeJwt(await tokenFor()), iss: 'https://other.example' })
            .setProtectedHeader({ ...jose.decodeProtectedHeader(await tokenFor()), alg: 'ES256' })
            .sign(first),
      ],
      [
        'an expired token',
        async () =>
          new jose.SignJWT({ ...jose.decodeJwt(await tokenFor()), exp: 1 })
            .setProtectedHeader({ ...jose.decodeProtectedHeader(await tokenFor()), alg: 'ES256' })
            .sign(first),
      ],
    ])('refuses %s', async (_name, make) => {
      const response = await call(api, '/any', await make());
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token"/);
      expect(await answer(response)).toEqual([401, 'invalid_token']);
    });
  });

  describe('with DPoP', () => {
    let key: ClientKey;
    let api: string;
    let token: string;
    beforeAll(async () => {
      key = await clientKey();
      api = await start();
      token = await tokenFor(ORDERS, {
        proof: await dpopProof(key, { url: `${issuer}/token`, now: Date.now() }),
      });
    });
    const proofFor = (
      url: string,
      more: Record<string, unknown> = {},
      nonce?: string,
      by = key,
    ): Promise<string> =>
      dpopProof(by, { method: 'GET', url, now: Date.now(), accessToken: token, nonce }, more);
    const bound = async (at: string, proof: string): Promise<Response> =>
      call(at, '/any', token, { Authorization: `DPoP ${token}`, DPoP: proof });

    it('a proof for this URL gets through, once', async () => {
      const proof = await proofFor(`${api}/any`);
      expect((await bound(api, proof)).status).toBe(200);
      expect(await answer(await bound(api, proof))).toEqual([401, 'invalid_dpop_proof']);
    });

    it('the URL that counts is that of the audience', async () => {
      expect((await bound(api.replace('127.0.0.1', 'localhost'), await proofFor(`${api}/any`))).status).toBe(
        401,
      );
      const { requireToken } = createTokenVerifier({
        issuer: 'https://as.example',
        audience: 'https://api.example',
      });
      expect(requireToken()).toBeInstanceOf(Function);
    });

    it.each<[string, Record<string, unknown>]>([
      ['without ath', { ath: undefined }],
      ['for another token', { ath: createHash('sha256').update('x').digest('base64url') }],
      ['for another method', { htm: 'POST' }],
      ['for another URL', { htu: 'https://evil.example/any' }],
    ])('a proof %s is refused', async (_name, more) => {
      expect(await answer(await bound(api, await proofFor(`${api}/any`, more)))).toEqual([
        401,
        'invalid_dpop_proof',
      ]);
    });

    it('as Bearer, and with another key, it is refused', async () => {
      expect(await answer(await call(api, '/any', token))).toEqual([401, 'invalid_token']);
      const foreign = await proofFor(`${api}/any`, {}, undefined, await clientKey());
      expect(await answer(await bound(api, foreign))).toEqual([401, 'invalid_token']);
    });

    it('asks for nonces that all its processes know', async () => {
      const nonceSecrets = ['a secret of the resource servers, long enough'];
      const [one, two] = [await start({ nonceSecrets }), await start({ nonceSecrets })];
      const refused = await bound(one, await proofFor(`${one}/any`));
      expect(refused.headers.get('www-authenticate')).toMatch(/^DPoP error="use_dpop_nonce"/);
      const nonce = refused.headers.get('dpop-nonce')!;
      expect((await bound(two, await proofFor(`${two}/any`, {}, nonce))).status).toBe(200);
    });
  });

  describe('with introspection', () => {
    let api: string;
    let opaque: string;
    beforeAll(async () => {
      const introspection = { endpoint: `${issuer}/introspect`, clientId: 'api', clientSecret: 'api-secret' };
      [api, opaque] = await Promise.all([
        start({ introspection }),
        start({ introspection, audience: 'https://opaque.example.com' }),
      ]);
    });

    it('opaque tokens get through until they are revoked', async () => {
      const token = await tokenFor('https://opaque.example.com');
      expect(token).not.toContain('.');
      expect((await call(opaque, '/any', token)).status).toBe(200);
      expect((await call(opaque, '/checked', token)).status).toBe(200);
      await post(host, '/revoke', 'machine', { token });
      expect(await answer(await call(opaque, '/any', token))).toEqual([401, 'invalid_token']);
    });

    it('checkRevocation asks about JWTs too', async () => {
      const token = await tokenFor();
      expect((await call(api, '/checked', token)).status).toBe(200);
      await post(host, '/revoke', 'machine', { token });
      expect((await call(api, '/any', token)).status).toBe(200);
      expect(await answer(await call(api, '/checked', token))).toEqual([401, 'invalid_token']);
    });

    it('does not ask about garbage', async () => {
      host.events.length = 0;
      expect(await answer(await call(opaque, '/any', 'garbage'))).toEqual([401, 'invalid_token']);
      expect(host.events).toEqual([]);
    });

    it('a server that cannot be asked is 503, not a refusal', async () => {
      const introspection = { endpoint: 'http://127.0.0.1:1/introspect', clientId: 'api', clientSecret: 'x' };
      const alone = await start({ introspection, jwksUri: 'http://127.0.0.1:1/jwks' });
      expect(await answer(await call(alone, '/any', await tokenFor()))).toEqual([
        503,
        'temporarily_unavailable',
      ]);
      const token = await tokenFor('https://opaque.example.com');
      expect(await answer(await call(alone, '/any', token))).toEqual([503, 'temporarily_unavailable']);
    });
  });

  it('a key is known before it signs, and still known after it stopped', async () => {
    const second = keyPair().privateKey;
    let fetches = 0;
    let router: express.RequestHandler = (_req, _res, next) => next();
    const shell = express();
    const rotating = await listen(shell);
    closers.push(rotating.close);
    shell.use('/jwks', (_req, _res, next) => {
      fetches++;
      next();
    });
    shell.use((req, res, next) => void router(req, res, next));
    let now = Date.now();
    const { requireToken } = createTokenVerifier({
      issuer: rotating.origin,
      audience: ORDERS,
      clock: () => now,
    });
    shell.get('/any', requireToken(), (_req, res) => void res.json('ok'));
    const signsWith = (...signingKeys: (typeof first)[]): string => {
      const { oauth } = makeHost(
        { store: 'memory', mount: 'root' },
        { issuer: rotating.origin, signingKeys },
      );
      router = oauth;
      return oauth.issueAccessToken({
        subject: 'a',
        clientId: 'machine',
        audience: ORDERS,
        lifetime: 86_400,
      });
    };
    const statusOf = async (token: string): Promise<number> =>
      (await call(rotating.origin, '/any', token)).status;

    const old = signsWith(first);
    expect(await statusOf(old)).toBe(200);
    now += 601_000;
    // Still signed by the old one; the set is fetched again by the way.
    expect(await statusOf(signsWith(first, second))).toBe(200);
    expect(fetches).toBe(2);
    const promoted = signsWith(second, first);
    expect(jose.decodeProtectedHeader(promoted).kid).not.toBe(jose.decodeProtectedHeader(old).kid);
    expect([await statusOf(promoted), await statusOf(old)]).toEqual([200, 200]);
    expect(fetches).toBe(2);
    const alone = signsWith(second);
    expect(await statusOf(alone)).toBe(200);
    expect(jose.decodeProtectedHeader(alone).kid).toBe(
      await jose.calculateJwkThumbprint(await jose.exportJWK(second)),
    );
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no issuer', { issuer: undefined }, /issuer/],
    ['no audience', { audience: undefined }, /audience/],
    ['http', { issuer: 'http://as.example.com' }, /issuer/],
    ['a short nonce secret', { nonceSecrets: ['short'] }, /nonceSecrets/],
    ['a typo', { audiences: 'x' }, /audiences/],
    ['half an introspection', { introspection: { endpoint: 'https://as.example/i' } }, /clientId/],
  ])('%s is an error at once', (_name, more, message) => {
    const options = { issuer: 'https://as.example', audience: ORDERS, ...more } as TokenVerifierOptions;
    expect(() => createTokenVerifier(options)).toThrow(OAuthConfigurationError);
    expect(() => createTokenVerifier(options)).toThrow(message);
  });

  it('checkRevocation without introspection is an error at once', () => {
    const { requireToken } = createTokenVerifier({ issuer: 'https://as.example', audience: ORDERS });
    expect(() => requireToken({ checkRevocation: true })).toThrow(/introspection/);
  });
});
