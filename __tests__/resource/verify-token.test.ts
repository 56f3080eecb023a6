import { createSecretKey } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

import express from 'express';
import { sign } from 'jsonwebtoken';
import * as jose from 'jose';
import request from 'supertest';

import {
  createTokenVerifier,
  OAuthError,
  OAuthConfigurationError,
  type TokenVerifier,
  type VerifyTokenOptions,
} from 'express-oauth-router';

import {
  CLIENTS,
  getTokens,
  isActive,
  listen,
  makeHost,
  ORDERS,
  post,
  VARIANTS,
  type Host,
} from '../support/host';
import { clientKey, dpopProof, type ClientKey } from '../support/jose';
import { keyPair } from '../support/keys';

const { privateKey } = keyPair();

/** Returns the code and the description of the error. */
async function refusalOf(verified: Promise<unknown>): Promise<[string, string]> {
  try {
    await verified;
  } catch (thrown) {
    if (thrown instanceof OAuthError) return [thrown.code, thrown.message];
    throw thrown;
  }
  throw new Error('it was accepted');
}

describe.each(VARIANTS)('verifyToken on $store at the $mount', (variant) => {
  let host: Host;
  let key: ClientKey;
  beforeAll(async () => {
    key = await clientKey();
  });
  beforeEach(() => {
    host = makeHost(variant, {
      signingKeys: [{ key: privateKey, kid: 'ec' }],
      resources: [ORDERS, 'https://billing.example.com'],
      protect: (app, oauth) => {
        app.get('/api', oauth.requireToken({ scope: 'orders:read' }), (_req, res) => void res.json('ok'));
      },
    });
  });
  const verify = (token: string, options?: VerifyTokenOptions): ReturnType<Host['oauth']['verifyToken']> =>
    host.oauth.verifyToken(token, options);
  const signed = (claims: object): string => {
    const now = Math.floor(host.now / 1000);
    const all = {
      iss: host.issuer,
      sub: 'alice',
      aud: host.issuer,
      client_id: 'web',
      scope: '',
      jti: 'x',
      iat: now,
      exp: now + 60,
      ...claims,
    };
    return sign(all, privateKey, { algorithm: 'ES256', header: { alg: 'ES256', typ: 'at+jwt', kid: 'ec' } });
  };

  it('returns the facts of a token', async () => {
    const { access_token: token } = await getTokens(host);
    expect(await verify(token, { scope: 'orders:read', checkRevocation: true })).toMatchObject({
      userId: 'alice',
      clientId: 'web',
      scope: ['profile', 'orders:read', 'orders:write'],
    });
  });

  it('names what is wrong, since the token is one of this server', async () => {
    const { access_token: token } = await getTokens(host);
    expect(await refusalOf(verify(token, { audience: ORDERS }))).toEqual([
      'invalid_token',
      'The access token is for another audience',
    ]);
    expect(await refusalOf(verify(token, { scope: ['admin'] }))).toEqual([
      'insufficient_scope',
      'The access token lacks the required scope: admin',
    ]);
    await post(host, '/revoke', 'web', { token });
    expect(await refusalOf(verify(token, { checkRevocation: true }))).toEqual([
      'invalid_token',
      'The access token is revoked',
    ]);
    host.pass(3600);
    expect(await refusalOf(verify(token))).toEqual(['invalid_token', 'The access token is expired']);
    for (const other of ['', 'x', 'a.b.c'])
      expect((await refusalOf(verify(other)))[1]).toBe(
        'The access token is malformed or from another server',
      );
    // A WebSocket's URL may have none.
    for (const missing of [undefined, null, 1 as never])
      expect((await refusalOf(verify(missing as never)))[0]).toBe('invalid_token');
    await expect(verify(token, { scopes: 'x' } as never)).rejects.toThrow(OAuthConfigurationError);
  });

  it('a token that is not valid yet is refused everywhere', async () => {
    const now = Math.floor(host.now / 1000);
    const token = signed({ nbf: now + 30 });
    expect(await refusalOf(verify(token))).toEqual(['invalid_token', 'The access token is not valid yet']);
    const { status } = await request(host.app).get('/api').set('Authorization', `Bearer ${token}`);
    expect(status).toBe(401);
    expect(await isActive(host, token)).toBe(false);
    expect(await verify(signed({ nbf: now + 5 }))).toMatchObject({ userId: 'alice' });
  });

  describe('a token that is bound to a key', () => {
    const url = 'https://ws.example.com/socket';
    let token: string;
    beforeEach(async () => {
      const proof = await dpopProof(key, { url: `${host.issuer}/token`, now: host.now });
      const form = { grant_type: 'client_credentials' };
      const { body } = await post(host, '/token', 'machine', form).set('DPoP', proof);
      token = (body as { access_token: string }).access_token;
    });
    const proofFor = async (by = key, accessToken = token): Promise<VerifyTokenOptions> => ({
      dpop: {
        proof: await dpopProof(by, { url, method: 'GET', now: host.now, accessToken }),
        method: 'GET',
        url,
      },
    });

    it('is refused without its proof', async () => {
      expect(await refusalOf(verify(token))).toEqual(['invalid_dpop_proof', 'The DPoP proof is missing']);
    });

    it('is accepted with its proof, once, and for its request only', async () => {
      const proven = await proofFor();
      expect(await verify(token, proven)).toMatchObject({ clientId: 'machine' });
      expect((await refusalOf(verify(token, proven)))[0]).toBe('invalid_dpop_proof');
      const elsewhere = await proofFor();
      elsewhere.dpop!.url = 'https://other.example.com/';
      expect((await refusalOf(verify(token, elsewhere)))[0]).toBe('invalid_dpop_proof');
      expect(await refusalOf(verify(token, await proofFor(await clientKey())))).toEqual([
        'invalid_token',
        'The access token is bound to another key',
      ]);
    });

    it('a proof that is missing or nonsense is a wrong proof, not a mistake of the host', async () => {
      for (const [proof, to] of [
        [undefined, url],
        ['', url],
        ['garbage', url],
        ['garbage', 'https://ws.example.com/a|b'],
      ] as const) {
        const [code] = await refusalOf(verify(token, { dpop: { proof, method: 'GET', url: to } }));
        expect(code).toBe('invalid_dpop_proof');
      }
      const unbound = host.oauth.issueAccessToken({ subject: 'alice', clientId: 'web' });
      // A host passes the header of any request on, and most have none.
      const none = { proof: undefined, method: 'GET', url };
      expect(await verify(unbound, { dpop: none })).toMatchObject({ subject: 'alice' });
      expect(await refusalOf(verify(unbound, { dpop: { proof: 'garbage', method: 'GET', url } }))).toEqual([
        'invalid_token',
        'The access token is not bound to a key: send it as Bearer',
      ]);
    });

    it('is accepted if the caller says that it checks possession itself', async () => {
      expect(await verify(token, { possessionChecked: true })).toMatchObject({ clientId: 'machine' });
    });

    it('as Bearer is told its scheme', async () => {
      const response = await request(host.app).get('/api').set('Authorization', `Bearer ${token}`);
      expect([response.status, response.body.error_description]).toEqual([
        401,
        'The access token is bound to a key: send it as DPoP, with a proof',
      ]);
      expect(response.headers['www-authenticate']).toMatch(/^DPoP error="invalid_token".*algs=/);
    });
  });

  it('a token that is bound to a certificate needs the certificate', async () => {
    const token = signed({ cnf: { 'x5t#S256': 'A'.repeat(43) } });
    expect(await refusalOf(verify(token))).toEqual([
      'invalid_token',
      'The access token is bound to another certificate',
    ]);
    expect(await verify(token, { possessionChecked: true })).toMatchObject({ userId: 'alice' });
  });

  it('requireToken protects a plain Node server too', async () => {
    const protect = host.oauth.requireToken({ scope: 'orders:read' });
    const server = http.createServer((req, res) => {
      protect(req, res, () => res.end('orders'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { access_token: token } = await getTokens(host);
    const narrow = host.oauth.issueAccessToken({ subject: 'alice', clientId: 'web' });
    const call = async (authorization?: string): Promise<[number, string | null, string]> => {
      const response = await fetch(origin, { headers: authorization ? { authorization } : {} });
      return [response.status, response.headers.get('www-authenticate'), await response.text()];
    };
    expect(await call()).toMatchObject([401, /^Bearer scope="orders:read", resource_metadata=/, '']);
    expect(await call('Bearer x')).toMatchObject([401, /^Bearer error="invalid_token"/, /invalid_token/]);
    expect(await call(`Bearer ${narrow}`)).toMatchObject([403, /scope="orders:read"/, /insufficient_scope/]);
    expect(await call(`Bearer ${token}`)).toEqual([200, null, 'orders']);
    server.close();
    server.closeAllConnections();
  });

  it('a resource server that shares a secret cannot revoke the tokens of other clients', async () => {
    const secret = 'a secret that this server shares with a resource server';
    const shared = 'https://shared.example.com';
    host = makeHost(variant, {
      signingKeys: [
        { key: privateKey, kid: 'ec' },
        { alg: 'HS256', key: secret, kid: 'hs' },
      ],
      resources: [{ identifier: shared, signingAlgorithm: 'HS256' }],
      clients: [CLIENTS.web, CLIENTS.machine],
    });
    const { access_token: victim } = await getTokens(host, 'web');
    const { jti } = jose.decodeJwt(victim);
    const now = Math.floor(host.now / 1000);
    const forged = await new jose.SignJWT({ jti, client_id: 'machine', scope: '' })
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: 'hs' })
      .setIssuer(host.issuer)
      .setSubject('machine')
      .setAudience(shared)
      .setIssuedAt(now)
      .setExpirationTime(now + 600)
      .sign(createSecretKey(Buffer.from(secret)));
    expect((await post(host, '/revoke', 'machine', { token: forged })).status).toBe(200);
    expect(await isActive(host, forged, 'machine')).toBe(false);
    expect(await verify(victim, { checkRevocation: true })).toMatchObject({ userId: 'alice' });
  });
});

describe('createTokenVerifier', () => {
  it('accepts a token only while its key is published', async () => {
    const old = keyPair();
    const next = keyPair();
    let keys = [{ key: old.privateKey, kid: 'old' }];
    const shell = express();
    const { origin, close } = await listen(shell);
    const issuer = `${origin}/oauth`;
    let now = Date.now();
    const clock = (): number => now;
    const hostWith = (): Host =>
      makeHost(
        { store: 'memory', mount: 'root' },
        { issuer, signingKeys: keys, clock, lifetimes: { accessToken: 400 * 86_400 } },
      );
    let host = hostWith();
    shell.use('/oauth', (req, res, next_) => host.oauth(req, res, next_));
    const token = host.oauth.issueAccessToken({
      subject: 'alice',
      clientId: 'web',
      audience: ORDERS,
      lifetime: 365 * 86_400,
    });
    const { verifyToken }: TokenVerifier = createTokenVerifier({ issuer, audience: ORDERS, clock });
    expect(await verifyToken(token)).toMatchObject({ userId: 'alice' });
    keys = [{ key: next.privateKey, kid: 'next' }];
    host = hostWith();
    // The key set is fetched again after ten minutes.
    now += 601_000;
    expect(await refusalOf(verifyToken(token))).toEqual([
      'invalid_token',
      'The access token is malformed or from another server',
    ]);
    await close();
    // And a server that cannot be reached for a day vouches for nothing.
    now += 2 * 86_400_000;
    expect((await refusalOf(verifyToken(token)))[0]).toBe('temporarily_unavailable');
  });

  it('refuses a token that is not valid yet', async () => {
    const shell = express();
    const { origin, close } = await listen(shell);
    const host = makeHost(
      { store: 'memory', mount: 'root' },
      { issuer: origin, signingKeys: [{ key: privateKey, kid: 'ec' }] },
    );
    shell.use(host.oauth);
    const { verifyToken } = createTokenVerifier({ issuer: origin, audience: ORDERS });
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: origin,
      sub: 'a',
      aud: ORDERS,
      client_id: 'web',
      scope: '',
      jti: 'x',
      iat: now,
      exp: now + 60,
    };
    const header = { alg: 'ES256', typ: 'at+jwt', kid: 'ec' } as const;
    const token = (nbf: number): string =>
      sign({ ...claims, nbf }, privateKey, { algorithm: 'ES256', header });
    expect(await refusalOf(verifyToken(token(now + 40)))).toEqual([
      'invalid_token',
      'The access token is not valid yet',
    ]);
    expect(await verifyToken(token(now))).toMatchObject({ subject: 'a' });
    await close();
  });
});
