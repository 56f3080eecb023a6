import * as jose from 'jose';
import request from 'supertest';

import {
  answerOf,
  authorizationForm,
  authorize,
  claimsOf,
  CLIENTS,
  getCode,
  getTokens,
  makeHost,
  pkce,
  post,
  redeem,
  refresh,
  VARIANTS,
  type Form,
  type Host,
  type HostOptions,
  hasClock,
} from '../support/host';
import { clientKey, dpopProof, type Claims, type ClientKey } from '../support/jose';

type Body = Record<string, string>;

describe.each(VARIANTS)('DPoP (RFC 9449) on $store at the $mount', (variant) => {
  const scope = 'openid profile orders:read';
  const options: HostOptions = {
    clients: [
      { ...CLIENTS.web, scope },
      { ...CLIENTS.spa, scope },
      { ...CLIENTS.native, dpopBoundAccessTokens: true, refreshTokenRotation: 'never' },
      CLIENTS.machine,
      CLIENTS.steady,
    ],
    protect: (app, oauth) => {
      app.get('/api', oauth.requireToken(), (req, res) => void res.json({ of: req.oauth.subject }));
      app.post('/api', oauth.requireToken(), (_req, res) => void res.json('posted'));
      app.get('/other-api', oauth.requireToken(), (_req, res) => void res.json('other'));
    },
  };
  const host = makeHost(variant, options);
  const tokenUrl = `${host.issuer}/token`;
  const api = 'http://localhost:3000/api';
  let key: ClientKey;
  let other: ClientKey;
  beforeAll(async () => {
    key = await clientKey();
    other = await clientKey();
  });

  const proofFor = (
    url: string,
    more: Claims = {},
    header: Claims = {},
    {
      by = key,
      on = host,
      ...rest
    }: Partial<Parameters<typeof dpopProof>[1]> & { by?: ClientKey; on?: Host } = {},
  ): Promise<string> => dpopProof(by, { url, now: on.now, ...rest }, more, header);

  /** The nonce that the server asks for. */
  async function nonceOf(on: Host = host): Promise<string> {
    const { headers } = await post(on, '/token', 'spa', {
      grant_type: 'refresh_token',
      refresh_token: 'x',
    }).set('DPoP', await proofFor(`${on.issuer}/token`, {}, {}, { on }));
    return headers['dpop-nonce']!;
  }

  async function boundTokens(client: 'web' | 'spa', more: Form = {}, by = key): Promise<Body> {
    const nonce = await nonceOf();
    const proof = await proofFor(tokenUrl, {}, {}, { nonce, by });
    const { body } = await redeem(host, client, await getCode(host, client, more)).set('DPoP', proof);
    return body as Body;
  }

  const machine = (proof: string): request.Test =>
    post(host, '/token', 'machine', { grant_type: 'client_credentials' }).set('DPoP', proof);

  const call = async (
    token: string,
    proof: string | undefined,
    { scheme = 'DPoP', path = '/api' } = {},
  ): Promise<request.Response> => {
    const test = request(host.app).get(path).set('Authorization', `${scheme} ${token}`);
    return proof === undefined ? await test : await test.set('DPoP', proof);
  };

  describe('at the token endpoint', () => {
    it.each(['ES256', 'ES384', 'RS256', 'PS256', 'Ed25519'])(
      'binds every grant to an %s key',
      async (alg) => {
        const own = await clientKey(alg);
        const { status, body } = await machine(await proofFor(tokenUrl, {}, {}, { by: own }));
        expect([status, body.token_type]).toEqual([200, 'DPoP']);
        expect(claimsOf(body.access_token as string).cnf).toEqual({ jkt: own.thumbprint });
      },
    );

    it('code and refresh of a public client, with a nonce of the server’s (§8)', async () => {
      const issued = await getCode(host, 'spa');
      const without = await redeem(host, 'spa', issued).set('DPoP', await proofFor(tokenUrl));
      expect([without.status, without.body.error]).toEqual([400, 'use_dpop_nonce']);
      expect(without.headers['access-control-expose-headers']).toContain('DPoP-Nonce');
      const nonce = without.headers['dpop-nonce']!;
      const first = await redeem(host, 'spa', issued).set(
        'DPoP',
        await proofFor(tokenUrl, {}, {}, { nonce }),
      );
      expect(first.body).toMatchObject({ token_type: 'DPoP' });
      // A nonce comes with every answer, so that the client always has a good one.
      expect(first.headers['dpop-nonce']).toBeDefined();
      const { body } = await refresh(host, 'spa', first.body.refresh_token as string).set(
        'DPoP',
        await proofFor(tokenUrl, {}, {}, { nonce }),
      );
      expect(claimsOf(body.access_token as string).cnf).toEqual({ jkt: key.thumbprint });
    });

    it('a nonce is good in every process with the same secrets, for a few minutes', async () => {
      const own = makeHost(variant, { ...options, adapter: host.adapter });
      const nonce = await nonceOf(host);
      const send = async (at: Host): Promise<string> => {
        const form = { grant_type: 'refresh_token', refresh_token: 'x' };
        const proof = await proofFor(`${at.issuer}/token`, {}, {}, { on: at, nonce });
        return ((await post(at, '/token', 'spa', form).set('DPoP', proof)).body as Body).error!;
      };
      own.now = host.now;
      expect(await send(own)).toBe('invalid_grant');
      own.pass(110);
      expect(await send(own)).toBe('invalid_grant');
      own.pass(300);
      expect(await send(own)).toBe('use_dpop_nonce');
      const foreign = makeHost(variant, {
        ...options,
        secrets: ['another secret of the tests, also long enough'],
      });
      foreign.now = host.now;
      expect(await send(foreign)).toBe('use_dpop_nonce');
    });

    it.each([
      ['never', 'spa', 'invalid_grant'],
      ['never', 'web', 'invalid_grant'],
      ['public', 'spa', 'use_dpop_nonce'],
      ['public', 'web', 'invalid_grant'],
      ['always', 'spa', 'use_dpop_nonce'],
      ['always', 'web', 'use_dpop_nonce'],
    ] as const)('policy %s, client %s: %s', async (nonce, client, error) => {
      const own = makeHost(variant, { ...options, dpop: { nonce } });
      const proof = await proofFor(`${own.issuer}/token`, {}, {}, { on: own });
      const { body } = await refresh(own, client, 'x').set('DPoP', proof);
      expect(body.error).toBe(error);
    });

    it.each<[string, Claims, Claims]>([
      ['another method', { htm: 'GET' }, {}],
      ['no method', { htm: undefined }, {}],
      ['another URL', { htu: 'http://localhost:3000/other' }, {}],
      ['another origin', { htu: 'https://evil.example/token' }, {}],
      ['no URL', { htu: undefined }, {}],
      ['a URL that is none', { htu: 'token' }, {}],
      ['no id', { jti: undefined }, {}],
      ['an id that is a number', { jti: 1 }, {}],
      ['an empty id', { jti: '' }, {}],
      ['an id that is too long', { jti: 'x'.repeat(257) }, {}],
      ['no time', { iat: undefined }, {}],
      ['a time that is text', { iat: 'now' }, {}],
      ['another type', {}, { typ: 'jwt' }],
      ['no type', {}, { typ: undefined }],
      ['no key', {}, { jwk: undefined }],
      ['a symmetric key', {}, { jwk: { kty: 'oct', k: 'AAAA' } }],
      ['a key that is nonsense', {}, { jwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' } }],
    ])('refuses a proof with %s', async (_name, claims, header) => {
      const proof = await proofFor(tokenUrl, claims, header);
      const { status, body } = await machine(proof);
      expect([status, body.error]).toEqual([400, 'invalid_dpop_proof']);
    });

    it('refuses a proof with a private key in its header, or signed by another key', async () => {
      const withPrivate = await proofFor(tokenUrl, {}, { jwk: key.privateJwk });
      expect((await machine(withPrivate)).body.error).toBe('invalid_dpop_proof');
      const { kid: _, ...jwk } = other.publicJwk;
      expect((await machine(await proofFor(tokenUrl, {}, { jwk }))).body.error).toBe('invalid_dpop_proof');
    });

    it('refuses none and HMAC', async () => {
      const [, payload] = (await proofFor(tokenUrl)).split('.');
      const header = { typ: 'dpop+jwt', alg: 'none', jwk: key.publicJwk };
      const none = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload!}.`;
      expect((await machine(none)).body.error).toBe('invalid_dpop_proof');
      const hmac = await new jose.SignJWT({
        jti: 'x',
        htm: 'POST',
        htu: tokenUrl,
        iat: Math.floor(host.now / 1000),
      })
        .setProtectedHeader({ alg: 'HS256', typ: 'dpop+jwt', jwk: key.publicJwk })
        .sign(new TextEncoder().encode(await jose.exportSPKI(key.publicKey)));
      expect((await machine(hmac)).body.error).toBe('invalid_dpop_proof');
    });

    it('takes a URL that is written in another way, and a query with it', async () => {
      for (const htu of [
        `${tokenUrl}?x=1#y`,
        tokenUrl.replace('http://l', 'HTTP://L'),
        tokenUrl.replace('token', '%74oken'),
      ]) {
        expect((await machine(await proofFor(tokenUrl, { htu }))).status).toBe(200);
      }
    });

    it('takes clocks that differ by seconds, and no more', async () => {
      const now = Math.floor(host.now / 1000);
      for (const [iat, status] of [
        [now - 10, 200],
        [now + 10, 200],
        [now - 61, 400],
        [now + 62, 400],
      ] as const) {
        expect((await machine(await proofFor(tokenUrl, { iat }))).status).toBe(status);
      }
    });

    it.each([-3600, 3600])('a public client whose clock is off by %d s is helped by a nonce', async (off) => {
      const iat = Math.floor(host.now / 1000) + off;
      const send = async (nonce?: string): Promise<request.Response> =>
        redeem(host, 'spa', await getCode(host, 'spa')).set(
          'DPoP',
          await proofFor(tokenUrl, { iat }, {}, { nonce }),
        );
      const first = await send();
      expect(first.body.error).toBe('use_dpop_nonce');
      expect((await send(first.headers['dpop-nonce'])).body.token_type).toBe('DPoP');
      // The same proof, at once and an hour later, when its own time has come: the nonce is too old by then.
      const proof = await proofFor(tokenUrl, { iat }, {}, { nonce: first.headers['dpop-nonce'] });
      const replay = async (client: 'spa' | 'machine'): Promise<unknown> => {
        const test = client === 'spa' ? redeem(host, 'spa', await getCode(host, 'spa')) : grantOf('machine');
        return (await test.set('DPoP', proof)).body.error;
      };
      expect(await replay('spa')).toBeUndefined();
      expect(await replay('spa')).toBe('invalid_dpop_proof');
      host.pass(3600);
      expect(await replay('spa')).toBe('use_dpop_nonce');
      expect(await replay('machine')).toBe('use_dpop_nonce');
    });

    const grantOf = (client: 'machine'): request.Test =>
      post(host, '/token', client, { grant_type: 'client_credentials' });

    it('a key that only costs time to verify is refused', async () => {
      const { n, kty } = (await clientKey('RS256')).publicJwk;
      const proof = (await proofFor(tokenUrl)).split('.');
      const jwk = { kty, n, e: n };
      proof[0] = Buffer.from(JSON.stringify({ typ: 'dpop+jwt', alg: 'RS256', jwk })).toString('base64url');
      const { body } = await machine(proof.join('.'));
      expect(body.error_description).toContain('without a public key');
    });

    it('two proofs are one too many', async () => {
      const { status, body } = await request(host.app)
        .post(`${host.base}/token`)
        .type('form')
        .auth('machine', 'machine-secret')
        .set('DPoP', [await proofFor(tokenUrl), await proofFor(tokenUrl)] as never)
        .send({ grant_type: 'client_credentials' });
      expect([status, body.error]).toEqual([400, 'invalid_dpop_proof']);
    });

    it('a proof is used once, here and in another process, until it is too old', async () => {
      const own = makeHost(variant, { ...options, adapter: host.adapter });
      own.now = host.now;
      const early = await proofFor(tokenUrl, { iat: Math.floor(host.now / 1000) + 59 });
      const send = async (at: Host): Promise<number> =>
        (await post(at, '/token', 'machine', { grant_type: 'client_credentials' }).set('DPoP', early)).status;
      expect(await send(host)).toBe(200);
      expect(await send(host)).toBe(400);
      expect(await send(own)).toBe(400);
      if (hasClock(variant)) {
        host.pass(118);
        expect(await send(host)).toBe(400);
      }
    });

    it('twenty at once are one', async () => {
      const once = await proofFor(tokenUrl);
      const statuses = await Promise.all(
        Array.from({ length: 20 }, async () => (await machine(once)).status),
      );
      expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    });
  });

  describe('bound codes and refresh tokens', () => {
    it('dpop_jkt binds the code: another key, or none, ends the grant (§10)', async () => {
      const more = { dpop_jkt: key.thumbprint };
      const nonce = await nonceOf();
      const bound = await boundTokens('spa', more);
      expect(bound.token_type).toBe('DPoP');
      const issued = await getCode(host, 'spa', more);
      const wrong = await redeem(host, 'spa', issued).set(
        'DPoP',
        await proofFor(tokenUrl, {}, {}, { by: other, nonce }),
      );
      expect(wrong.body.error).toBe('invalid_grant');
      const late = await redeem(host, 'spa', issued).set('DPoP', await proofFor(tokenUrl, {}, {}, { nonce }));
      expect(late.body.error).toBe('invalid_grant');
      expect((await redeem(host, 'spa', await getCode(host, 'spa', more))).body.error).toBe('invalid_grant');
      const malformed = await authorize(host, authorizationForm('spa', pkce(), { dpop_jkt: 'x' }));
      expect(answerOf(malformed).error).toBe('invalid_request');
    });

    it('the refresh token of a public client is its key’s (§5)', async () => {
      const { refresh_token: token = '' } = await boundTokens('spa');
      const nonce = await nonceOf();
      const without = await refresh(host, 'spa', token);
      expect([without.status, without.body.error]).toEqual([400, 'invalid_dpop_proof']);
      const foreign = await refresh(host, 'spa', token).set(
        'DPoP',
        await proofFor(tokenUrl, {}, {}, { by: other, nonce }),
      );
      expect([foreign.status, foreign.body.error]).toEqual([400, 'invalid_grant']);
      // A thief has ended nothing.
      const own = await refresh(host, 'spa', token).set('DPoP', await proofFor(tokenUrl, {}, {}, { nonce }));
      expect(own.status).toBe(200);
    });

    it('a confidential client may change its key, and its tokens follow', async () => {
      const { refresh_token: token = '' } = await boundTokens('web');
      const { body } = await refresh(host, 'web', token).set(
        'DPoP',
        await proofFor(tokenUrl, {}, {}, { by: other }),
      );
      expect(claimsOf(body.access_token as string).cnf).toEqual({ jkt: other.thumbprint });
    });

    it('a client that is registered for bound tokens gets no others, and may keep its refresh token', async () => {
      const nonce = await nonceOf();
      const form = authorizationForm('native', pkce(), { redirect_uri: 'http://127.0.0.1:5555/cb' });
      const page = await authorize(host, form).set('Accept', 'text/html');
      expect(page.status).toBe(200);
      const { verifier, challenge } = pkce();
      const redirectUri = 'http://127.0.0.1:5555/cb';
      const asked = await authorize(
        host,
        authorizationForm('native', { verifier, challenge }, { redirect_uri: redirectUri }),
      ).set('Accept', 'text/html');
      const sealed = /name="request" value="([^"]+)"/.exec(asked.text)![1]!;
      const allowed = await request(host.app)
        .post(`${host.base}/consent`)
        .type('form')
        .send({ request: sealed, decision: 'allow' });
      const issued = { code: answerOf(allowed).code!, verifier };
      const unbound = await redeem(host, 'native', issued, { redirect_uri: redirectUri });
      expect([unbound.status, unbound.body.error]).toEqual([400, 'invalid_dpop_proof']);
      const { body } = await redeem(host, 'native', issued, { redirect_uri: redirectUri }).set(
        'DPoP',
        await proofFor(tokenUrl, {}, {}, { nonce }),
      );
      const kept = await refresh(host, 'native', body.refresh_token as string).set(
        'DPoP',
        await proofFor(tokenUrl, {}, {}, { nonce }),
      );
      expect(kept.body.refresh_token).toBe(body.refresh_token);
    });

    it('a token of a public client from before it had a key is replaced, whatever the client says', async () => {
      const { body: before } = await redeem(host, 'spa', await getCode(host, 'spa'), {}).set(
        'DPoP',
        await proofFor(tokenUrl, {}, {}, { nonce: await nonceOf() }),
      );
      const old = makeHost(variant, { ...options, adapter: host.adapter, dpop: { nonce: 'never' } });
      const { refresh_token: unbound } = await getTokens(old, 'spa');
      const now = makeHost(variant, {
        ...options,
        adapter: host.adapter,
        clients: [{ ...CLIENTS.spa, scope, dpopBoundAccessTokens: true, refreshTokenRotation: 'never' }],
      });
      const nonce = await nonceOf(now);
      const send = async (token: string): Promise<Body> => {
        const proof = await proofFor(`${now.issuer}/token`, {}, {}, { nonce, on: now });
        return (await refresh(now, 'spa', token).set('DPoP', proof)).body as Body;
      };
      expect((await send(before.refresh_token as string)).refresh_token).toBe(before.refresh_token);
      const replaced = await send(unbound);
      expect(replaced.refresh_token).toMatch(/./);
      expect(replaced.refresh_token).not.toBe(unbound);
    });

    it('introspection tells how a token is bound', async () => {
      const { access_token: token = '' } = await boundTokens('web');
      const { body } = await post(host, '/introspect', 'web', { token });
      expect(body).toMatchObject({ active: true, token_type: 'DPoP', cnf: { jkt: key.thumbprint } });
    });
  });

  describe('at requireToken and userinfo (§7)', () => {
    let token = '';
    beforeEach(async () => {
      token = (await boundTokens('web', { scope: 'openid' })).access_token!;
    });

    const apiProof = (more: Claims = {}, rest: Parameters<typeof proofFor>[3] = {}): Promise<string> =>
      proofFor(api, more, {}, { method: 'GET', accessToken: token, ...rest });

    it.each(['DPoP', 'dpop', 'DPOP'])('scheme %s with a proof gets through', async (scheme) => {
      const response = await call(token, await apiProof(), { scheme });
      expect([response.status, response.body]).toEqual([200, { of: 'alice' }]);
    });

    it('the query does not matter, the path does', async () => {
      expect((await call(token, await apiProof(), { path: '/api?x=1' })).status).toBe(200);
      const other = await call(token, await apiProof(), { path: '/other-api' });
      expect([other.status, other.body.error]).toEqual([401, 'invalid_dpop_proof']);
    });

    it('a bound token as Bearer is refused, with or without a proof', async () => {
      for (const proof of [undefined, await apiProof()]) {
        const response = await call(token, proof, { scheme: 'Bearer' });
        expect([response.status, response.body.error]).toEqual([401, 'invalid_token']);
      }
    });

    it('an unbound token as DPoP is refused', async () => {
      const { body } = await redeem(host, 'web', await getCode(host, 'web'));
      const unbound = body.access_token as string;
      const response = await call(unbound, await apiProof({}, { accessToken: unbound }));
      expect([response.status, response.body.error]).toEqual([401, 'invalid_token']);
    });

    it.each<[string, Claims]>([
      ['without ath', { ath: undefined }],
      ['for another token', { ath: 'x' }],
      ['for another method', { htm: 'POST' }],
      ['for another URL', { htu: 'http://localhost:3000/api/x' }],
      ['too old', { iat: 1 }],
    ])('a proof %s is refused', async (_name, more) => {
      const response = await call(token, await apiProof(more));
      expect([response.status, response.body.error]).toEqual([401, 'invalid_dpop_proof']);
      expect(response.headers['www-authenticate']).toMatch(
        /^DPoP error="invalid_dpop_proof", .*algs="ES256 /,
      );
    });

    it('no proof, and a proof of another key, are refused', async () => {
      const missing = await call(token, undefined);
      expect([missing.status, missing.body.error]).toEqual([401, 'invalid_dpop_proof']);
      const foreign = await call(token, await apiProof({}, { by: other }));
      expect([foreign.status, foreign.body.error]).toEqual([401, 'invalid_token']);
    });

    it('Host and X-Forwarded headers have no say in the URL', async () => {
      const proof = await apiProof({ htu: 'https://evil.example/api' });
      const response = await request(host.app)
        .get('/api')
        .set({
          Authorization: `DPoP ${token}`,
          DPoP: proof,
          Host: 'evil.example',
          'X-Forwarded-Host': 'evil.example',
        });
      expect(response.status).toBe(401);
    });

    it('a proof is used once, here and in another process', async () => {
      const proof = await apiProof();
      expect((await call(token, proof)).status).toBe(200);
      const again = await call(token, proof);
      expect([again.status, again.body.error]).toEqual([401, 'invalid_dpop_proof']);
      const own = makeHost(variant, { ...options, adapter: host.adapter });
      own.now = host.now;
      const elsewhere = await request(own.app)
        .get('/api')
        .set({ Authorization: `DPoP ${token}`, DPoP: proof });
      expect(elsewhere.status).toBe(401);
    });

    it('wants a nonce where the policy is always', async () => {
      const own = makeHost(variant, { ...options, adapter: host.adapter, dpop: { nonce: 'always' } });
      own.now = host.now;
      const send = async (nonce?: string): Promise<request.Response> =>
        request(own.app)
          .get('/api')
          .set({ Authorization: `DPoP ${token}`, DPoP: await apiProof({}, { nonce }) });
      const first = await send();
      expect([first.status, first.body.error]).toEqual([401, 'use_dpop_nonce']);
      expect(first.headers['www-authenticate']).toMatch(/^DPoP error="use_dpop_nonce"/);
      expect((await send(first.headers['dpop-nonce'])).status).toBe(200);
    });

    it('userinfo by GET and POST', async () => {
      for (const method of ['GET', 'POST'] as const) {
        const url = `${host.issuer}/userinfo`;
        const proof = await proofFor(url, {}, {}, { method, accessToken: token });
        const test = request(host.app)[method.toLowerCase() as 'get'](`${host.base}/userinfo`);
        const response = await test.set({ Authorization: `DPoP ${token}`, DPoP: proof });
        expect([response.status, response.body.sub]).toEqual([200, 'alice']);
      }
      const inForm = await request(host.app)
        .post(`${host.base}/userinfo`)
        .type('form')
        .send({ access_token: token });
      expect(inForm.status).toBe(401);
    });
  });
});
