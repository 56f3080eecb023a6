import { createHash } from 'node:crypto';

import * as jose from 'jose';
import request from 'supertest';

import { generateClientSecret } from 'express-oauth-router';

import {
  answerOf,
  authorizationForm,
  authorize,
  CALLBACK,
  claimsOf,
  CLIENTS,
  getCode,
  getTokens,
  isActive,
  ORDERS,
  pkce,
  post,
  redeem,
  refresh,
  VARIANTS,
  type Form,
  type Host,
  type Tokens,
} from '../support/host';
import { ALICE, EC, openidHost, OPENID_CLIENTS, RSA, verified } from '../support/openid';

type OpenIdTokens = Tokens & { id_token: string };
type Claims = Record<string, unknown>;

describe.each(VARIANTS)('OpenID Connect on $store at the $mount', (variant) => {
  const host = openidHost(variant);
  beforeEach(() => {
    host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) - 100 };
    host.events.length = 0;
  });

  const tokensOf = (on: Host, more: Form = {}, client: keyof typeof CLIENTS = 'web'): Promise<OpenIdTokens> =>
    getTokens(on, client, { scope: 'openid', ...more }) as Promise<OpenIdTokens>;

  const userinfo = (on: Host, token: string, scheme = 'Bearer'): request.Test =>
    request(on.app).get(`${on.base}/userinfo`).set('Authorization', `${scheme} ${token}`);

  async function errorOf(more: Form, client: keyof typeof CLIENTS = 'web'): Promise<string | undefined> {
    return answerOf(await authorize(host, authorizationForm(client, pkce(), { scope: 'openid', ...more })))
      .error;
  }

  describe('ID tokens (Core §2)', () => {
    it('are there with openid, signed RS256, with the claims of the sign-in', async () => {
      host.user = {
        id: 'alice',
        authTime: 1_700_000_000,
        acr: 'urn:mfa',
        amr: ['pwd', 'otp'],
        sid: 'session-1',
      };
      const tokens = await tokensOf(host, { nonce: 'n-0S6' });
      const { payload, header } = await verified(host, tokens.id_token, 'web');
      const iat = Math.floor(host.now / 1000);
      expect(header).toMatchObject({ alg: 'RS256', typ: 'JWT' });
      expect(payload).toEqual({
        iss: host.issuer,
        sub: 'alice',
        aud: 'web',
        azp: 'web',
        iat,
        exp: iat + 3600,
        auth_time: 1_700_000_000,
        nonce: 'n-0S6',
        acr: 'urn:mfa',
        amr: ['pwd', 'otp'],
        sid: expect.stringMatching(/^[\w-]{43}$/) as string,
        at_hash: createHash('sha256')
          .update(tokens.access_token)
          .digest()
          .subarray(0, 16)
          .toString('base64url'),
        'https://example.com/role': 'admin',
      });
      // RFC 9068 §2.2.1
      expect(claimsOf(tokens.access_token)).toMatchObject({
        auth_time: 1_700_000_000,
        acr: 'urn:mfa',
        amr: ['pwd', 'otp'],
      });
      expect(JSON.stringify(payload)).not.toContain('session-1');
    });

    it('are not there without openid, nor for a client that acts for itself', async () => {
      expect(await tokensOf(host, { scope: 'profile' })).not.toHaveProperty('id_token');
      const { body } = await post(host, '/token', 'machine', { grant_type: 'client_credentials' });
      expect(body).not.toHaveProperty('id_token');
    });

    it('come with a refresh: the same sub, aud and auth_time, without the nonce (§12.2)', async () => {
      const tokens = await tokensOf(host, { nonce: 'n-0S6' });
      host.pass(10);
      const renewed = (await refresh(host, 'web', tokens.refresh_token)).body as OpenIdTokens;
      const before = claimsOf(tokens.id_token);
      const { payload } = await verified(host, renewed.id_token, 'web');
      expect(payload).toMatchObject({
        sub: before.sub,
        aud: before.aud,
        auth_time: before.auth_time,
        iss: before.iss,
      });
      expect(payload).not.toHaveProperty('nonce');
      expect(payload.iat).toBe(Number(before.iat) + 10);
      expect(payload.at_hash).not.toBe(before.at_hash);
    });

    it('still come where a refresh asks for less than openid', async () => {
      const tokens = await tokensOf(host, { scope: 'openid profile' });
      const { body } = await refresh(host, 'web', tokens.refresh_token, { scope: 'profile' });
      expect(body).toMatchObject({ scope: 'profile', id_token: expect.any(String) as string });
    });

    it('have the algorithm that the client registered, and the hash that goes with it', async () => {
      const clients = [{ ...OPENID_CLIENTS[0]!, idTokenSignedResponseAlg: 'ES256' }];
      const own = openidHost(variant, { clients });
      const { header } = await verified(own, (await tokensOf(own)).id_token, 'web');
      expect(header.alg).toBe('ES256');
      // The access token is signed by the first key all the same.
      const rsaFirst = openidHost(variant, { clients, signingKeys: [{ key: RSA, alg: 'RS256' }, EC] });
      const tokens = await tokensOf(rsaFirst);
      expect(jose.decodeProtectedHeader(tokens.access_token).alg).toBe('RS256');
      expect((await verified(rsaFirst, tokens.id_token, 'web')).header.alg).toBe('ES256');
    });

    it('live as long as idTokenLifetime says', async () => {
      const own = openidHost(variant, { lifetimes: { idToken: 60 } });
      const { exp, iat } = claimsOf((await tokensOf(own)).id_token);
      expect(Number(exp) - Number(iat)).toBe(60);
    });

    it('an access token is none, and an ID token is no access token', async () => {
      const tokens = await tokensOf(host);
      expect(await errorOf({ id_token_hint: tokens.access_token })).toBe('invalid_request');
      expect((await userinfo(host, tokens.id_token)).status).toBe(401);
      expect(await isActive(host, tokens.id_token)).toBe(false);
    });

    it.each(['abc', [1], 5])('userClaims that returns %j is an error', async (claims) => {
      const own = openidHost(variant, { userClaims: () => claims as never });
      const { status, body } = await redeem(own, 'web', await getCode(own, 'web', { scope: 'openid' }));
      expect([status, body.error]).toEqual([500, 'server_error']);
    });

    it.each(['sub', 'client_id', 'scope'])('userClaims must not set %s', async (claim) => {
      const own = openidHost(variant, { userClaims: () => ({ [claim]: 'mallory' }) });
      const response = await redeem(own, 'web', await getCode(own, 'web', { scope: 'openid' }));
      expect([response.status, response.body.error]).toEqual([500, 'server_error']);
    });

    it('have the id of the session only for clients that use it', async () => {
      for (const [more, expected] of [
        [{}, undefined],
        [{ postLogoutRedirectUris: ['https://app.example.com/bye'] }, expect.any(String)],
        [{ backchannelLogoutUri: 'https://app.example.com/logout' }, expect.any(String)],
      ] as const) {
        const own = openidHost(variant, { clients: [{ ...CLIENTS.web, scope: 'openid', ...more }] });
        own.user = { id: 'alice', sid: 'session-1' };
        expect(claimsOf((await tokensOf(own)).id_token).sid).toEqual(expected);
      }
    });

    it('have pairwise subjects for clients that are registered so (§8)', async () => {
      const pairwise = { subjectType: 'pairwise' as const };
      const own = openidHost(variant, {
        clients: [
          { ...OPENID_CLIENTS[0]!, ...pairwise },
          { ...OPENID_CLIENTS[1]!, ...pairwise },
          { ...CLIENTS.post, scope: 'openid', ...pairwise },
        ],
        pairwiseSecret: 'a secret for subjects that never changes',
      });
      const web = await tokensOf(own);
      const spa = await tokensOf(own, {}, 'spa');
      const sub = claimsOf(web.id_token).sub as string;
      expect(sub).toMatch(/^[\w-]{43}$/);
      expect(claimsOf(spa.id_token).sub).not.toBe(sub);
      // The same host is the same sector.
      expect(claimsOf((await tokensOf(own, {}, 'post')).id_token).sub).toBe(sub);
      expect((await userinfo(own, web.access_token)).body).toMatchObject({ sub });
      const renewed = (await refresh(own, 'web', web.refresh_token)).body as OpenIdTokens;
      expect(claimsOf(renewed.id_token).sub).toBe(sub);
      const introspected = await post(own, '/introspect', 'web', { token: web.access_token });
      expect(introspected.body).toMatchObject({ active: true, sub });
      // Nothing that the client can read has the other name.
      expect(web.access_token).not.toContain('.');
      // The id of the session does not link users either.
      own.user = { id: 'alice', sid: 'session-1' };
      const elsewhere = {
        ...OPENID_CLIENTS[2]!,
        redirectUris: ['https://other.example.com/cb'],
        postLogoutRedirectUris: ['https://other.example.com/bye'],
        ...pairwise,
      };
      const apart = openidHost(variant, {
        clients: [
          { ...OPENID_CLIENTS[0]!, ...pairwise },
          { ...elsewhere, firstParty: true },
        ],
        pairwiseSecret: 'a secret for subjects that never changes',
      });
      apart.user = { id: 'alice', sid: 'session-1' };
      const here = claimsOf((await tokensOf(apart)).id_token);
      const { verifier, challenge } = pkce();
      const there = { redirect_uri: 'https://other.example.com/cb' };
      const form = authorizationForm('third', { verifier, challenge }, { scope: 'openid', ...there });
      const { code } = answerOf(await authorize(apart, form));
      const { body } = await redeem(apart, 'third', { code: code!, verifier }, there);
      const { sid, sub: subThere } = claimsOf((body as OpenIdTokens).id_token);
      expect([sid, subThere]).not.toContain(undefined);
      expect([here.sid, here.sub]).not.toContain(undefined);
      expect(sid).not.toBe(here.sid);
      expect(subThere).not.toBe(here.sub);
      own.user = { id: 'alice' };
      const hinted = await getTokens(own, 'web', {
        scope: 'openid',
        prompt: 'none',
        id_token_hint: web.id_token,
      });
      expect(hinted).toHaveProperty('access_token');
    });
  });

  describe('/userinfo (Core §5.3)', () => {
    it.each([
      ['profile', { name: ALICE.name, given_name: 'Alice' }],
      ['email', { email: ALICE.email, email_verified: true }],
      ['address', { address: ALICE.address }],
      ['phone', { phone_number: ALICE.phone_number }],
    ])(
      '%s gives its claims, by GET, by POST with a header, and by POST with a form',
      async (scope, claims) => {
        const { access_token: token } = await tokensOf(host, { scope: `openid ${scope}` });
        const expected = { sub: 'alice', 'https://example.com/role': 'admin', ...claims };
        const responses = [
          await userinfo(host, token),
          await userinfo(host, token, 'bearer'),
          await request(host.app).post(`${host.base}/userinfo`).set('Authorization', `Bearer ${token}`),
          await request(host.app).post(`${host.base}/userinfo`).type('form').send({ access_token: token }),
        ];
        for (const response of responses) {
          expect(response.status).toBe(200);
          expect(response.body).toEqual(expected);
          expect(response.headers['cache-control']).toBe('no-store');
          expect(response.headers['access-control-allow-origin']).toBe('*');
        }
      },
    );

    it('gives what the claims parameter asks for, where it asks for it (§5.5)', async () => {
      const claims = JSON.stringify({
        userinfo: { name: { essential: true }, email: null, 'https://example.com/other': null },
        id_token: { phone_number: null, auth_time: { essential: true } },
      });
      const tokens = await tokensOf(host, { claims });
      expect((await userinfo(host, tokens.access_token)).body).toEqual({
        sub: 'alice',
        name: ALICE.name,
        email: ALICE.email,
        'https://example.com/role': 'admin',
      });
      expect(claimsOf(tokens.id_token)).toMatchObject({ phone_number: ALICE.phone_number });
      expect(claimsOf(tokens.id_token)).not.toHaveProperty('email');
      const renewed = (await refresh(host, 'web', tokens.refresh_token)).body as OpenIdTokens;
      expect((await userinfo(host, renewed.access_token)).body).toHaveProperty('name');
    });

    it('a single claim needs the consent that its scope needs', async () => {
      const claims = JSON.stringify({ userinfo: { email: { essential: true } } });
      const form = authorizationForm('third', pkce(), { scope: 'openid', claims });
      const page = await authorize(host, form).set('Accept', 'text/html');
      expect(page.status).toBe(200);
      expect(page.text).toContain('See your email address');
      // A client that may not have the scope does not get the claim.
      const clients = [{ ...CLIENTS.web, scope: 'openid' }];
      const own = openidHost(variant, { clients });
      const { access_token: token } = await tokensOf(own, { claims });
      expect((await userinfo(own, token)).body).not.toHaveProperty('email');
    });

    it.each(['{', '[]', '"x"', '{"userinfo":[]}', '{"id_token":{"acr":[]}}', '{"userinfo":"x"}'])(
      'refuses claims=%s',
      async (claims) => {
        expect(await errorOf({ claims })).toBe('invalid_request');
      },
    );

    it('a claim in a language of its own is the same claim (§5.2)', async () => {
      const own = openidHost(variant, {
        userClaims: () => ({ 'name#ja': 'アリス', 'email#de': 'alice@example.de' }),
      });
      const bare = await tokensOf(own);
      expect((await userinfo(own, bare.access_token)).body).toEqual({ sub: 'alice' });
      expect(claimsOf(bare.id_token)).not.toHaveProperty('email#de');
      const { access_token: profile } = await tokensOf(own, { scope: 'openid profile' });
      expect((await userinfo(own, profile)).body).toEqual({ sub: 'alice', 'name#ja': 'アリス' });
      const { access_token: asked } = await tokensOf(own, { claims: '{"userinfo":{"email#de":null}}' });
      expect((await userinfo(own, asked)).body).toEqual({ sub: 'alice', 'email#de': 'alice@example.de' });
    });

    it('a single claim goes with the scope that the client has lost since', async () => {
      const { clientSecret: _, ...web } = CLIENTS.web;
      const { adapter } = host;
      const own = openidHost(variant, { adapter, clients: [] });
      const secret = generateClientSecret();
      await adapter.saveClient!({ ...web, scope: 'openid email', clientSecretHash: secret.clientSecretHash });
      const send = (form: Record<string, string>): request.Test =>
        request(own.app).post(`${own.base}/token`).type('form').auth('web', secret.clientSecret).send(form);
      const { verifier, challenge } = pkce();
      const claims = '{"id_token":{"email":null},"userinfo":{"email":null}}';
      const form = authorizationForm('web', { verifier, challenge }, { scope: 'openid', claims });
      const { code } = answerOf(await authorize(own, form));
      const first = await send({
        grant_type: 'authorization_code',
        code: code!,
        code_verifier: verifier,
        redirect_uri: CALLBACK,
      });
      const before = first.body as OpenIdTokens;
      expect(claimsOf(before.id_token)).toHaveProperty('email');
      await adapter.saveClient!({ ...web, scope: 'openid', clientSecretHash: secret.clientSecretHash });
      const after = (await send({ grant_type: 'refresh_token', refresh_token: before.refresh_token }))
        .body as OpenIdTokens;
      expect(claimsOf(after.id_token)).not.toHaveProperty('email');
      expect((await userinfo(own, after.access_token)).body).not.toHaveProperty('email');
      await adapter.deleteClient!('web');
    });

    it('takes names that trip a careless map', async () => {
      const claims = '{"userinfo":{"__proto__":null,"constructor":{"essential":true},"name":null}}';
      const { access_token: token } = await tokensOf(host, { claims });
      expect((await userinfo(host, token)).body).toHaveProperty('name');
    });

    it('refuses what is no token of a user with openid', async () => {
      const bare = await request(host.app).get(`${host.base}/userinfo`);
      expect([bare.status, bare.headers['www-authenticate']]).toEqual([401, 'Bearer']);
      const { access_token: plain } = await tokensOf(host, { scope: 'profile' });
      const refused = await userinfo(host, plain);
      expect([refused.status, refused.body.error]).toEqual([403, 'insufficient_scope']);
      const malformed = await userinfo(host, 'x.y.z');
      expect([malformed.status, malformed.body.error]).toEqual([401, 'invalid_token']);
      const { access_token: token } = await tokensOf(host);
      const twice = await request(host.app)
        .post(`${host.base}/userinfo`)
        .type('form')
        .set('Authorization', `Bearer ${token}`)
        .send({ access_token: token });
      expect([twice.status, twice.body.error]).toEqual([400, 'invalid_request']);
      const inQuery = await request(host.app).get(`${host.base}/userinfo?access_token=${token}`);
      expect(inQuery.status).toBe(400);
    });

    it('refuses a token that expired, was revoked, or whose code was used again', async () => {
      const own = openidHost(variant);
      const expired = await tokensOf(own);
      own.pass(3600);
      expect((await userinfo(own, expired.access_token)).status).toBe(401);

      const revoked = await tokensOf(own);
      await post(own, '/revoke', 'web', { token: revoked.access_token });
      const response = await userinfo(own, revoked.access_token);
      expect([response.status, response.body.error]).toEqual([401, 'invalid_token']);
      expect(response.headers['www-authenticate']).toContain('error="invalid_token"');

      const issued = await getCode(own, 'web', { scope: 'openid' });
      const { body } = await redeem(own, 'web', issued);
      own.pass(30);
      expect((await redeem(own, 'web', issued)).body.error).toBe('invalid_grant');
      expect((await userinfo(own, body.access_token as string)).status).toBe(401);
    });

    it('works with a token for another audience, and opaque ones', async () => {
      const { access_token: token } = await tokensOf(host, { resource: ORDERS, scope: 'openid profile' });
      expect((await userinfo(host, token)).body).toMatchObject({ name: ALICE.name });
      const own = openidHost(variant, { accessTokenFormat: 'opaque' });
      expect((await userinfo(own, (await tokensOf(own)).access_token)).body).toMatchObject({ sub: 'alice' });
    });

    it('a user that is gone has no claims', async () => {
      let there = true;
      const own = openidHost(variant, { loadUser: () => (there ? { id: 'alice' } : undefined) });
      const { access_token: token } = await tokensOf(own);
      there = false;
      const response = await userinfo(own, token);
      expect([response.status, response.body.error]).toEqual([401, 'invalid_token']);
    });
  });

  describe('parameters of the authorization request (Core §3.1.2.1)', () => {
    it('the order of scopes and parameters, and unknown ones, do not matter', async () => {
      const { verifier, challenge } = pkce();
      const form = authorizationForm(
        'web',
        { verifier, challenge },
        { scope: 'email openid profile', extra: 'x' },
      );
      const reversed = Object.fromEntries(Object.entries(form).reverse());
      const response = await redeem(host, 'web', {
        code: answerOf(await authorize(host, reversed)).code!,
        verifier,
      });
      expect(response.body.scope).toBe('email openid profile');
    });

    it('works by POST, and display, ui_locales, claims_locales, login_hint and acr_values do no harm', async () => {
      const { verifier, challenge } = pkce();
      const more = {
        scope: 'openid',
        display: 'popup',
        ui_locales: 'se',
        claims_locales: 'se',
        login_hint: 'alice',
        acr_values: '1 2',
      };
      const response = await request(host.app)
        .post(`${host.base}/authorize`)
        .type('form')
        .send(authorizationForm('web', { verifier, challenge }, more));
      expect(response.status).toBe(303);
      const redeemed = await redeem(host, 'web', { code: answerOf(response).code!, verifier });
      expect(redeemed.status).toBe(200);
    });

    it('tells the login what it needs to know', async () => {
      host.user = undefined;
      const more = { login_hint: 'al', ui_locales: 'de fr', acr_values: 'urn:mfa', prompt: 'login' };
      const { headers } = await authorize(host, authorizationForm('web', pkce(), more));
      const { searchParams } = new URL(headers.location!, host.issuer);
      expect(Object.fromEntries(searchParams)).toMatchObject(more);
    });

    it('prompt=none: silent when signed in, with the same sub and auth_time; login_required when not', async () => {
      const before = claimsOf((await tokensOf(host)).id_token);
      host.pass(5);
      const silent = await tokensOf(host, { prompt: 'none' });
      expect(claimsOf(silent.id_token)).toMatchObject({ sub: before.sub, auth_time: before.auth_time });
      host.user = undefined;
      expect(await errorOf({ prompt: 'none' })).toBe('login_required');
    });

    it('max_age: an old sign-in is not enough, a young one is; and a loop ends', async () => {
      expect(claimsOf((await tokensOf(host, { max_age: '10000' })).id_token)).toHaveProperty('auth_time');
      const first = await authorize(
        host,
        authorizationForm('web', pkce(), { max_age: '1', scope: 'openid' }),
      );
      const back = new URL(first.headers.location!, host.issuer).searchParams.get('return_to')!;
      expect(first.headers.location).toMatch(/^\/login\?/);
      // The host sends the browser back without having asked anybody.
      const looped = await request(host.app).get(back);
      expect(answerOf(looped).error).toBe('login_required');
      host.user = { id: 'alice', authTime: Math.ceil(host.now / 1000) };
      expect(answerOf(await request(host.app).get(back))).toHaveProperty('code');
    });

    it('a login that finds somebody signed in is told to ask, and for what', async () => {
      const toldFor = async (more: Form): Promise<Record<string, string>> => {
        const { headers } = await authorize(
          host,
          authorizationForm('web', pkce(), { scope: 'openid', ...more }),
        );
        return Object.fromEntries(new URL(headers.location!, host.issuer).searchParams);
      };
      const acr = JSON.stringify({ id_token: { acr: { essential: true, values: ['gold'] } } });
      expect(await toldFor({ max_age: '5' })).toMatchObject({ prompt: 'login' });
      expect(await toldFor({ claims: acr, acr_values: 'silver' })).toMatchObject({
        prompt: 'login',
        acr_values: 'gold silver',
      });
      expect(await toldFor({ claims: '{"id_token":{"sub":{"value":"bob"}}}' })).toMatchObject({
        prompt: 'login',
      });
      expect(await toldFor({ prompt: 'select_account' })).toMatchObject({ prompt: 'select_account' });
      // Both what the request says, and what is missing.
      expect(await toldFor({ prompt: 'select_account', max_age: '5' })).toMatchObject({
        prompt: 'select_account login',
        max_age: '5',
      });
      host.user = undefined;
      expect(await toldFor({ max_age: '5' })).not.toHaveProperty('prompt');
    });

    it('a login that remembers somebody, and was not told to ask, is told then', async () => {
      host.user = undefined;
      const first = await authorize(
        host,
        authorizationForm('web', pkce(), { scope: 'openid', max_age: '60' }),
      );
      const returnTo = (response: request.Response): URLSearchParams =>
        new URL(response.headers.location!, host.issuer).searchParams;
      host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) - 100 };
      const second = await request(host.app).get(returnTo(first).get('return_to')!);
      expect(returnTo(second).get('prompt')).toBe('login');
      const back = returnTo(second).get('return_to')!;
      expect(answerOf(await request(host.app).get(back)).error).toBe('login_required');
      host.user = { id: 'alice', authTime: Math.ceil(host.now / 1000) };
      expect(answerOf(await request(host.app).get(back))).toHaveProperty('code');
    });

    it('a decision on the consent page may take longer than max_age', async () => {
      const own = openidHost(variant);
      own.user = { id: 'alice', authTime: Math.floor(own.now / 1000) - 20 };
      const form = authorizationForm('third', pkce(), { scope: 'openid', max_age: '30' });
      const page = await authorize(own, form).set('Accept', 'text/html');
      const sealed = /name="request" value="([^"]+)"/.exec(page.text)![1]!;
      own.pass(20);
      const decide = request(own.app).post(`${own.base}/consent`).type('form');
      expect(answerOf(await decide.send({ request: sealed, decision: 'allow' }))).toHaveProperty('code');
    });

    it('one fresh sign-in is good for one answer, and not for an hour', async () => {
      const own = openidHost(variant);
      own.user = undefined;
      const loginFor = async (more: Form): Promise<string> => {
        const { headers } = await authorize(
          own,
          authorizationForm('web', pkce(), { scope: 'openid', ...more }),
        );
        return new URL(headers.location!, own.issuer).searchParams.get('return_to')!;
      };
      const back = await loginFor({ prompt: 'login' });
      own.user = { id: 'alice', authTime: Math.floor(own.now / 1000) };
      const { code } = answerOf(await request(own.app).get(back));
      expect(code).toBeDefined();
      expect(answerOf(await request(own.app).get(back)).code).toBe(code);
      own.pass(11);
      expect(answerOf(await request(own.app).get(back))).not.toHaveProperty('code');

      own.user = undefined;
      const late = await loginFor({ max_age: '60' });
      own.user = { id: 'alice', authTime: Math.floor(own.now / 1000) };
      own.pass(3500);
      // It is asked for again.
      expect((await request(own.app).get(late)).headers.location).toMatch(/^\/login\?.*prompt=login/);
    });

    it('a client’s defaultMaxAge counts where a request has none', async () => {
      const own = openidHost(variant, { clients: [{ ...OPENID_CLIENTS[0]!, defaultMaxAge: 50 }] });
      const response = await authorize(own, authorizationForm('web', pkce()));
      expect(response.headers.location).toMatch(/^\/login\?/);
      expect(await tokensOf(own, { max_age: '1000' })).toHaveProperty('id_token');
    });

    it('id_token_hint: the same user silently, another one not; expired is fine, foreign is refused', async () => {
      const own = openidHost(variant);
      const { id_token: hint } = await tokensOf(own);
      own.pass(7200);
      own.user = { id: 'alice', authTime: Math.floor(own.now / 1000) };
      expect(await tokensOf(own, { prompt: 'none', id_token_hint: hint })).toHaveProperty('id_token');
      own.user = { id: 'bob', authTime: Math.floor(own.now / 1000) };
      const none = await authorize(
        own,
        authorizationForm('web', pkce(), { prompt: 'none', id_token_hint: hint }),
      );
      expect(answerOf(none).error).toBe('login_required');
      const asked = await authorize(own, authorizationForm('web', pkce(), { id_token_hint: hint }));
      expect(asked.headers.location).toMatch(/^\/login\?/);
      const still = new URL(asked.headers.location!, own.issuer).searchParams.get('return_to')!;
      expect(answerOf(await request(own.app).get(still)).error).toBe('login_required');

      own.user = { id: 'alice', authTime: Math.floor(own.now / 1000) };
      const [header, payload] = hint.split('.');
      const none64 = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
      for (const bad of [`${none64}.${payload!}.`, `${header!}.${payload!}.AAAA`, 'x', `${hint}x`]) {
        const answer = await authorize(own, authorizationForm('web', pkce(), { id_token_hint: bad }));
        expect(answerOf(answer).error).toBe('invalid_request');
      }
      const foreign = await authorize(
        own,
        authorizationForm('post', pkce(), { scope: 'openid', id_token_hint: hint }),
      );
      expect(answerOf(foreign).error).toBe('invalid_request');
    });

    it('claims can ask for one user, and for an acr that is essential (§5.5.1)', async () => {
      const sub = (value: string): string => JSON.stringify({ id_token: { sub: { value } } });
      expect(await tokensOf(host, { claims: sub('alice') })).toHaveProperty('id_token');
      expect(await tokensOf(host, { claims: 'null' })).toHaveProperty('id_token');
      expect(await errorOf({ claims: sub('bob'), prompt: 'none' })).toBe('login_required');
      // All that is said of the user must hold.
      const { id_token: hint } = await tokensOf(host);
      for (const claims of [
        '{"id_token":{"sub":{"value":"alice"}},"userinfo":{"sub":{"value":"bob"}}}',
        '{"id_token":{"sub":{"values":["bob"]}}}',
      ]) {
        expect(await errorOf({ claims, prompt: 'none' })).toBe('login_required');
      }
      expect(await errorOf({ claims: sub('bob'), prompt: 'none', id_token_hint: hint })).toBe(
        'login_required',
      );
      const acr = JSON.stringify({ id_token: { acr: { essential: true, values: ['urn:mfa'] } } });
      const first = await authorize(host, authorizationForm('web', pkce(), { scope: 'openid', claims: acr }));
      const back = new URL(first.headers.location!, host.issuer).searchParams.get('return_to')!;
      expect(answerOf(await request(host.app).get(back)).error).toBe('unmet_authentication_requirements');
      host.user = { id: 'alice', acr: 'urn:mfa', authTime: Math.floor(host.now / 1000) };
      expect(claimsOf((await tokensOf(host, { claims: acr })).id_token).acr).toBe('urn:mfa');
    });

    it('a nonce and a state of any length that fits survive, and none is needed', async () => {
      const long = 'n'.repeat(500);
      const { verifier, challenge } = pkce();
      const form = authorizationForm(
        'web',
        { verifier, challenge },
        { scope: 'openid', nonce: long, state: long },
      );
      const answer = answerOf(await authorize(host, form));
      expect(answer.state).toBe(long);
      const { body } = await redeem(host, 'web', { code: answer.code!, verifier });
      expect(claimsOf((body as OpenIdTokens).id_token).nonce).toBe(long);
      expect(claimsOf((await tokensOf(host)).id_token)).not.toHaveProperty('nonce');
    });

    it('a client without PKCE gets its ID token (requirePkce: false)', async () => {
      const form = authorizationForm('old', pkce(), {
        scope: 'openid',
        code_challenge: undefined,
        code_challenge_method: undefined,
      });
      const { code } = answerOf(await authorize(host, form));
      const response = await post(host, '/token', 'old', {
        grant_type: 'authorization_code',
        code,
        redirect_uri: CALLBACK,
      });
      expect(response.body).toHaveProperty('id_token');
    });

    it.each(['token', 'id_token', 'code id_token', 'none', 'code token'])(
      'response_type=%s is refused',
      async (type) => {
        expect(await errorOf({ response_type: type })).toBe('unsupported_response_type');
      },
    );
  });

  describe('response modes', () => {
    const fields = (html: string): Claims =>
      Object.fromEntries(
        [...html.matchAll(/name="(\w+)" value="([^"]*)"/g)].map(([, name, value]) => [name, value]),
      ) as Claims;

    it('form_post is a form that sends itself, where nothing can be slipped in', async () => {
      const state = '"><script>alert(1)</script>';
      const form = authorizationForm('web', pkce(), { response_mode: 'form_post', state });
      const response = await authorize(host, form);
      expect(response.status).toBe(200);
      expect(response.text).toContain(`action="${CALLBACK}"`);
      expect(response.text).not.toContain('<script>alert');
      expect(fields(response.text)).toMatchObject({ code: expect.any(String) as string, iss: host.issuer });
      const script = /<script>(.*)<\/script>/.exec(response.text)![1]!;
      const hash = createHash('sha256').update(script).digest('base64');
      expect(response.headers['content-security-policy']).toContain(`script-src 'sha256-${hash}'`);
      expect(response.headers['cache-control']).toBe('no-store');
    });

    it('form_post tells errors too', async () => {
      const form = authorizationForm('web', pkce(), { response_mode: 'form_post', scope: 'admin' });
      const { text } = await authorize(host, form);
      expect(fields(text)).toMatchObject({ error: 'invalid_scope', state: 'xyz', iss: host.issuer });
    });

    it.each(['jwt', 'query.jwt', 'form_post.jwt'])('%s is a signed response (JARM §2)', async (mode) => {
      for (const more of [{}, { scope: 'admin' }]) {
        const form = authorizationForm('web', pkce(), { response_mode: mode, ...more });
        const response = await authorize(host, form);
        const answer = mode === 'form_post.jwt' ? fields(response.text) : answerOf(response);
        expect(Object.keys(answer)).toEqual(['response']);
        const { payload } = await verified(host, answer.response as string, 'web');
        expect(payload).toMatchObject({ iss: host.issuer, aud: 'web', state: 'xyz' });
        expect(payload).toHaveProperty('scope' in more ? 'error' : 'code');
        expect(Number(payload.exp) - host.now / 1000).toBeLessThanOrEqual(600);
      }
    });

    it('web_message posts a silent response to the origin of the redirect URI only', async () => {
      const page = await authorize(
        host,
        authorizationForm('web', pkce(), { prompt: 'none', response_mode: 'web_message' }),
      );
      const { 'content-security-policy': policy, 'x-frame-options': frames } = page.headers;
      expect([page.status, frames, page.headers.location]).toEqual([200, undefined, undefined]);
      expect(policy).toContain('frame-ancestors https://app.example.com');
      expect(page.text).toContain('data-origin="https://app.example.com"');
      const response = JSON.parse(
        /data-response="([^"]+)"/.exec(page.text)![1]!.replaceAll('&quot;', '"'),
      ) as Record<string, string>;
      expect(response).toEqual({ code: expect.any(String) as string, state: 'xyz', iss: host.issuer });

      host.user = undefined;
      const refused = await authorize(
        host,
        authorizationForm('web', pkce(), { prompt: 'none', response_mode: 'web_message' }),
      );
      expect(refused.text).toContain('login_required');
      // Only what the user decides nothing on may be framed.
      host.user = { id: 'alice' };
      const loud = await authorize(host, authorizationForm('web', pkce(), { response_mode: 'web_message' }));
      expect(loud.headers['content-security-policy']).toContain("frame-ancestors 'none'");
      // A redirect URI that is not registered gets no message, whoever asks.
      const evil = { prompt: 'none', response_mode: 'web_message', redirect_uri: 'https://evil.example/cb' };
      expect((await authorize(host, authorizationForm('web', pkce(), evil))).status).toBe(400);
    });

    it.each(['fragment', 'x'])('%s is refused', async (mode) => {
      expect(await errorOf({ response_mode: mode })).toBe('invalid_request');
    });
  });
});
