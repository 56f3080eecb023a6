import request from 'supertest';

import type { ClientOptions } from 'express-oauth-router';

import {
  answerOf,
  authorizationForm,
  authorize,
  CALLBACK,
  claimsOf,
  CLIENTS,
  makeHost,
  pkce,
  post,
  redeem,
  VARIANTS,
  type Form,
  type Host,
  type HostOptions,
} from '../support/host';
import {
  assertion,
  ASSERTION_TYPE,
  clientKey,
  dpopProof,
  requestObject,
  type Claims,
  type ClientKey,
} from '../support/jose';

describe.each(VARIANTS)('pushed and signed requests on $store at the $mount', (variant) => {
  let host: Host;
  let key: ClientKey;
  let other: ClientKey;
  let options: HostOptions;
  beforeAll(async () => {
    [key, other] = await Promise.all([clientKey('PS256'), clientKey()]);
    const signer: ClientOptions = {
      ...CLIENTS.web,
      clientId: 'signer',
      clientSecret: 'signer-secret',
      jwks: { keys: [key.publicJwk] },
      tokenEndpointAuthMethod: 'client_secret_basic',
    };
    options = {
      clients: [
        ...Object.values(CLIENTS),
        signer,
        { ...signer, clientId: 'always-signs', requireSignedRequestObject: true },
        {
          ...CLIENTS.web,
          clientId: 'pusher',
          clientSecret: 'pusher-secret',
          requirePushedAuthorizationRequests: true,
        },
        { ...CLIENTS.third, clientId: 'two', redirectUris: [CALLBACK, `${CALLBACK}2`] },
      ],
    };
    host = makeHost(variant, options);
  });
  beforeEach(() => {
    host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
  });

  const form = (more: Form = {}, pair = pkce()): Record<string, string> =>
    authorizationForm('web', pair, more);
  async function push(more: Form = {}, pair = pkce()): Promise<string> {
    const { body, status } = await post(host, '/par', 'web', form(more, pair));
    expect(status).toBe(201);
    return (body as { request_uri: string }).request_uri;
  }
  const visit = (requestUri: string, more: Record<string, string> = {}): request.Test =>
    authorize(host, { client_id: 'web', request_uri: requestUri, ...more });
  const returnTo = (response: request.Response): string =>
    new URL(response.headers.location!, host.issuer).searchParams.get('return_to')!;

  describe('POST /par (RFC 9126)', () => {
    it('gives a request_uri, for which the authorization endpoint needs nothing else', async () => {
      const pair = pkce();
      const response = await post(host, '/par', 'web', form({}, pair));
      expect(response.body).toEqual({
        request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:[\w-]{43}$/) as string,
        expires_in: 90,
      });
      expect(response.headers['cache-control']).toBe('no-store');
      const answer = answerOf(await visit((response.body as { request_uri: string }).request_uri));
      expect(answer).toMatchObject({ state: 'xyz', iss: host.issuer });
      expect((await redeem(host, 'web', { code: answer.code!, verifier: pair.verifier })).status).toBe(200);
    });

    it('public clients push too, and client_id need not be said twice', async () => {
      const response = await post(host, '/par', 'spa', authorizationForm('spa', pkce()));
      expect(response.status).toBe(201);
      const { client_id: _, ...rest } = form();
      expect((await post(host, '/par', 'web', rest)).status).toBe(201);
    });

    it('what stands beside it does not count', async () => {
      const answer = answerOf(
        await visit(await push({ scope: 'profile' }), { scope: 'admin', state: 'evil' }),
      );
      expect(answer).toMatchObject({ state: 'xyz', code: expect.any(String) as string });
    });

    it.each<[string, Form, string]>([
      ['an unregistered redirect_uri', { redirect_uri: 'https://evil.example' }, 'invalid_request'],
      ['an unknown scope', { scope: 'admin' }, 'invalid_scope'],
      ['no challenge', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
      ['plain PKCE', { code_challenge_method: 'plain' }, 'invalid_request'],
      ['another response_type', { response_type: 'token' }, 'unsupported_response_type'],
      ['a request_uri', { request_uri: 'urn:ietf:params:oauth:request_uri:x' }, 'invalid_request'],
      ['an unknown audience', { audience: 'https://nowhere.example' }, 'invalid_target'],
    ])('refuses %s at once', async (_name, more, error) => {
      const { status, body } = await post(host, '/par', 'web', form(more));
      expect([status, body.error]).toEqual([400, error]);
    });

    it('keeps no more than it must', async () => {
      const long = 'x'.repeat(6000);
      const { status, body } = await post(
        host,
        '/par',
        'web',
        form({ state: long, nonce: long, login_hint: long }),
      );
      expect([status, body.error, body.error_description]).toEqual([
        400,
        'invalid_request',
        'The request is too long',
      ]);
    });

    it('wants the client’s authentication, and POST', async () => {
      const { status, body } = await request(host.app).post(`${host.base}/par`).type('form').send(form());
      expect([status, body.error]).toEqual([401, 'invalid_client']);
      const got = await request(host.app).get(`${host.base}/par`);
      expect([got.status, got.headers.allow]).toEqual([405, 'POST, OPTIONS']);
      const foreign = await post(host, '/par', 'web', { ...form(), client_id: 'spa' });
      expect(foreign.body.error).toBe('invalid_request');
    });

    it('is spent when a code is issued, not when the page is visited', async () => {
      const requestUri = await push();
      host.user = undefined;
      await visit(requestUri);
      const login = await visit(requestUri);
      host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
      expect(answerOf(await request(host.app).get(returnTo(login)))).toHaveProperty('code');
      const again = await visit(requestUri);
      expect([again.status, again.body.error]).toEqual([400, 'invalid_request_uri']);
      expect(again.headers.location).toBeUndefined();
    });

    it('two tabs that come back from the login get the same code', async () => {
      const requestUri = await push();
      host.user = undefined;
      const [first, second] = [await visit(requestUri), await visit(requestUri)];
      host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
      const answers = await Promise.all([first, second].map((tab) => request(host.app).get(returnTo(tab))));
      expect(new Set(answers.map((answer) => answerOf(answer).code)).size).toBe(1);
      expect(answerOf(answers[0]!)).toHaveProperty('code');
    });

    it('twenty visits at once get one code', async () => {
      const requestUri = await push();
      const answers = await Promise.all(
        Array.from({ length: 20 }, async () => answerOf(await visit(requestUri))),
      );
      const codes = answers.flatMap(({ code }) => code ?? []);
      expect(codes).toHaveLength(1);
    });

    it('outlives its 90 seconds only at the login', async () => {
      const requestUri = await push();
      host.user = undefined;
      const login = await visit(requestUri);
      host.pass(91);
      expect((await visit(requestUri)).body.error).toBe('invalid_request_uri');
      host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
      expect(answerOf(await request(host.app).get(returnTo(login)))).toHaveProperty('code');
    });

    it('is for the client that pushed it', async () => {
      const response = await authorize(host, { client_id: 'spa', request_uri: await push() });
      expect([response.status, response.body.error]).toEqual([400, 'invalid_request_uri']);
      const nobody = await authorize(host, { request_uri: await push() });
      expect(nobody.status).toBe(400);
    });

    it('nothing of it is in the browser’s URLs', async () => {
      host.user = undefined;
      const login = await visit(await push({ state: 'a-state-to-look-for' }));
      expect(decodeURIComponent(login.headers.location!)).not.toContain('a-state-to-look-for');
    });

    it('an unknown one is an error page', async () => {
      for (const id of ['x', 'A'.repeat(43), '../parked:x']) {
        const response = await visit(`urn:ietf:params:oauth:request_uri:${id}`);
        expect([response.status, response.body.error]).toEqual([400, 'invalid_request_uri']);
      }
    });

    it('a client may be held to it, whatever way its request takes', async () => {
      const answer = answerOf(await authorize(host, { ...form(), client_id: 'pusher' }));
      expect(answer).toMatchObject({ error: 'invalid_request', state: 'xyz' });
      const pushed = await request(host.app)
        .post(`${host.base}/par`)
        .type('form')
        .auth('pusher', 'pusher-secret')
        .send({ ...form(), client_id: 'pusher' });
      const { request_uri: requestUri } = pushed.body as { request_uri: string };
      host.user = undefined;
      const login = await authorize(host, { client_id: 'pusher', request_uri: requestUri });
      host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
      expect(answerOf(await request(host.app).get(returnTo(login)))).toHaveProperty('code');
    });

    it('works with consent, and denying is access_denied', async () => {
      const pushed = await post(host, '/par', 'third', authorizationForm('third', pkce()));
      const { request_uri: requestUri } = pushed.body as { request_uri: string };
      const page = await authorize(host, { client_id: 'third', request_uri: requestUri }).set(
        'Accept',
        'text/html',
      );
      const sealed = /name="request" value="([^"]+)"/.exec(page.text)![1]!;
      const decide = (decision: string): request.Test =>
        request(host.app).post(`${host.base}/consent`).type('form').send({ request: sealed, decision });
      expect(answerOf(await decide('deny')).error).toBe('access_denied');
      const { code } = answerOf(await decide('allow'));
      expect(code).toBeDefined();
      // A second click; and the back button, later.
      expect(answerOf(await decide('allow')).code).toBe(code);
      host.pass(11);
      expect((await decide('allow')).status).toBe(400);
    });

    it('a DPoP proof binds the code to its key (RFC 9449 §10.1)', async () => {
      const url = `${host.issuer}/par`;
      const pair = pkce();
      const proof = (by: ClientKey): Promise<string> => dpopProof(by, { url, now: host.now });
      const pushed = await post(host, '/par', 'web', form({}, pair)).set('DPoP', await proof(key));
      const { code } = answerOf(await visit((pushed.body as { request_uri: string }).request_uri));
      const wrong = await redeem(host, 'web', { code: code!, verifier: pair.verifier }).set(
        'DPoP',
        await dpopProof(other, { url: `${host.issuer}/token`, now: host.now }),
      );
      expect(wrong.body.error).toBe('invalid_grant');
      const differs = await post(host, '/par', 'web', form({ dpop_jkt: other.thumbprint })).set(
        'DPoP',
        await proof(key),
      );
      expect([differs.status, differs.body.error]).toEqual([400, 'invalid_dpop_proof']);
      const replayed = await proof(key);
      expect((await post(host, '/par', 'web', form()).set('DPoP', replayed)).status).toBe(201);
      expect((await post(host, '/par', 'web', form()).set('DPoP', replayed)).status).toBe(400);
    });
  });

  describe('request objects (RFC 9101)', () => {
    const object = (parameters: Claims = {}, header: Claims = {}, by = key): Promise<string> => {
      const { client_id: _, ...rest } = form();
      const target = { clientId: 'signer', issuer: host.issuer, now: host.now };
      return requestObject(by, target, { ...rest, ...parameters }, header);
    };
    const send = async (request: string, more: Record<string, string> = {}): Promise<request.Response> =>
      authorize(host, { client_id: 'signer', request, ...more });

    it('its parameters count, and those outside do not', async () => {
      const answer = answerOf(await send(await object(), { state: 'outside', scope: 'admin', nonce: 'x' }));
      expect(answer).toMatchObject({ state: 'xyz', code: expect.any(String) as string });
    });

    it('survives the login, however short-lived it is, and is still signed', async () => {
      host.user = undefined;
      const target = { clientId: 'always-signs', issuer: host.issuer, now: host.now };
      const { client_id: _, ...rest } = form();
      const signedRequest = await requestObject(key, target, rest);
      const login = await authorize(host, { client_id: 'always-signs', request: signedRequest });
      host.pass(400);
      host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
      expect(answerOf(await request(host.app).get(returnTo(login)))).toHaveProperty('code');
    });

    it('a client may be held to it', async () => {
      const answer = answerOf(await authorize(host, { ...form(), client_id: 'always-signs' }));
      expect(answer.error).toBe('invalid_request');
    });

    it('can be pushed', async () => {
      const pushed = await request(host.app)
        .post(`${host.base}/par`)
        .type('form')
        .auth('signer', 'signer-secret')
        .send({ request: await object(), scope: 'admin' });
      expect(pushed.status).toBe(201);
      const { request_uri: requestUri } = pushed.body as { request_uri: string };
      expect(
        answerOf(await authorize(host, { client_id: 'signer', request_uri: requestUri })),
      ).toHaveProperty('code');
      const bad = await request(host.app)
        .post(`${host.base}/par`)
        .type('form')
        .auth('signer', 'signer-secret')
        .send({ request: await object({}, {}, other) });
      expect([bad.status, bad.body.error]).toEqual([400, 'invalid_request_object']);
    });

    it('its JSON types are those of the parameters', async () => {
      const claims = { id_token: { auth_time: { essential: true } } };
      expect(answerOf(await send(await object({ max_age: 1000, claims })))).toHaveProperty('code');
      expect(answerOf(await send(await object({ scope: ['profile'] }))).error).toBe('invalid_request_object');
    });

    it.each<[string, Claims, Claims]>([
      ['for another server', { aud: 'https://other.example' }, {}],
      ['for nobody', { aud: undefined }, {}],
      ['of another client', { iss: 'web' }, {}],
      ['with another client_id', { client_id: 'web' }, {}],
      ['without client_id', { client_id: undefined }, {}],
      ['that is a client assertion', { sub: 'signer' }, {}],
      ['that holds another', { request: 'x' }, {}],
      ['that points to another', { request_uri: 'urn:x' }, {}],
      ['that expired', { exp: 1 }, {}],
      ['that is not good yet', { nbf: 9_999_999_999 }, {}],
      ['of another type', {}, { typ: 'dpop+jwt' }],
    ])('refuses one %s, and tells the client', async (_name, claims, header) => {
      const answer = answerOf(
        await send(await object(claims, header), { redirect_uri: CALLBACK, state: 'outer' }),
      );
      expect(answer).toMatchObject({ error: 'invalid_request_object', state: 'outer', iss: host.issuer });
    });

    it('refuses another client’s key, a key of its own header, none, and nonsense', async () => {
      const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await object()).split('.')[1]!}.`;
      const bad = [
        await object({}, {}, other),
        await object({}, { jwk: other.publicJwk, kid: key.kid }, { ...other, alg: 'ES256' }),
        unsigned,
        'x.y.z',
        'x',
      ];
      for (const text of bad) {
        const answer = answerOf(await send(text, { redirect_uri: CALLBACK }));
        expect(answer.error).toBe('invalid_request_object');
      }
    });

    it('a redirect_uri in it must be registered', async () => {
      const response = await send(await object({ redirect_uri: 'https://evil.example' }));
      expect([response.status, response.headers.location]).toEqual([400, undefined]);
    });

    it('what continues a request is none of its parameters', async () => {
      expect(answerOf(await send(await object({ resume: 'x' })))).toHaveProperty('code');
    });

    it('by reference is not supported, and nothing is fetched', async () => {
      const more = { request_uri: 'http://127.0.0.1:1/x' };
      const answer = answerOf(await authorize(host, { ...form(), ...more }));
      expect(answer.error).toBe('request_uri_not_supported');
    });
  });

  describe('the FAPI 2.0 security profile', () => {
    const redirectUri = 'https://fapi.example.com/cb';
    let own: Host;
    let rsa: ClientKey;
    beforeAll(async () => {
      rsa = { ...(await clientKey('RS256')) };
      own = makeHost(variant, {
        // The profile's algorithms go before what a resource wants.
        resources: [{ identifier: 'https://rs.example.com', signingAlgorithm: 'RS256' }],
        defaultAudience: 'https://rs.example.com',
        lifetimes: {
          // Longer than the profile allows.
          authorizationCode: 600,
          pushedRequest: 3600,
        },

        clients: [
          {
            clientId: 'fapi',
            securityProfile: 'fapi2',
            jwks: { keys: [key.publicJwk, rsa.publicJwk, other.publicJwk] },
            redirectUris: [redirectUri],
            scope: 'openid profile',
            firstParty: true,
          },
        ],
        protect: (app, oauth) =>
          void app.get('/api', oauth.requireToken(), (_req, res) => void res.json('ok')),
      });
      own.user = { id: 'alice', authTime: Math.floor(own.now / 1000) };
    });

    interface FapiRequest {
      claims?: Claims;
      by?: ClientKey;
      /** Whose proof goes with it; nobody's if there is none. */
      dpop?: ClientKey | null;
    }

    async function fapiPost(
      path: string,
      more: Form,
      { claims = {}, by = key, dpop = key }: FapiRequest = {},
    ): Promise<request.Response> {
      const url = own.issuer + path;
      const body = {
        client_assertion: await assertion(by, { clientId: 'fapi', issuer: own.issuer, now: own.now }, claims),
        client_assertion_type: ASSERTION_TYPE,
        ...Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined)),
      };
      const test = request(own.app)
        .post(own.base + path)
        .type('form');
      if (dpop) void test.set('DPoP', await dpopProof(dpop, { url, now: own.now }));
      return test.send(body);
    }

    const fapiForm = ({ challenge }: { challenge: string }, more: Form = {}): Form => ({
      client_id: 'fapi',
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'openid profile',
      code_challenge: challenge,
      code_challenge_method: 'S256',
      ...more,
    });

    async function fapiCode(more: Form = {}): Promise<{ code: string; verifier: string }> {
      const pair = pkce();
      const { body } = await fapiPost('/par', fapiForm(pair, more));
      const answer = await authorize(own, {
        client_id: 'fapi',
        request_uri: (body as { request_uri: string }).request_uri,
      });
      return { code: answerOf(answer).code!, verifier: pair.verifier };
    }
    const redeemFapi = async (
      { code, verifier }: { code: string; verifier: string | undefined },
      rest: Parameters<typeof fapiPost>[2] = {},
    ): Promise<request.Response> =>
      fapiPost(
        '/token',
        { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: redirectUri },
        rest,
      );

    it('runs: pushed, not rotated', async () => {
      const { body } = await redeemFapi(await fapiCode());
      expect(body).toMatchObject({ token_type: 'DPoP', id_token: expect.any(String) as string });
      const refreshToken = body.refresh_token as string;
      const refreshed = await fapiPost('/token', {
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
      });
      expect(refreshed.body).toMatchObject({ refresh_token: refreshToken, token_type: 'DPoP' });
      // RFC 9449 §5: a confidential client may change its key, and its next access token is bound to the new one.
      const renewed = await fapiPost(
        '/token',
        { grant_type: 'refresh_token', refresh_token: refreshToken },
        { dpop: other },
      );
      expect(renewed.body).toMatchObject({ refresh_token: refreshToken, token_type: 'DPoP' });
      const jkt = (token: string): unknown => (claimsOf(token).cnf as { jkt: string }).jkt;
      expect(jkt(renewed.body.access_token as string)).not.toBe(jkt(body.access_token as string));
      const alg = (token: string): unknown =>
        (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as Claims).alg;
      expect([alg(body.access_token as string), alg(body.id_token as string)]).toEqual(['ES256', 'ES256']);
    });

    it('only pushed, only PKCE with S256, only with a redirect_uri', async () => {
      const direct = await authorize(own, fapiForm(pkce()) as Record<string, string>);
      expect(answerOf(direct).error).toBe('invalid_request');
      for (const more of [
        { code_challenge: undefined, code_challenge_method: undefined },
        { code_challenge_method: 'plain' },
        { redirect_uri: undefined },
      ]) {
        const { status, body } = await fapiPost('/par', fapiForm(pkce(), more));
        expect([status, body.error]).toEqual([400, 'invalid_request']);
      }
    });

    it('a missing or wrong verifier is invalid_grant', async () => {
      for (const verifier of [undefined, 'x'.repeat(43)]) {
        const { code } = await fapiCode();
        expect((await redeemFapi({ code, verifier })).body.error).toBe('invalid_grant');
      }
    });

    it.each<[string, Claims]>([
      ['the token endpoint', { aud: 'token' }],
      ['the PAR endpoint', { aud: 'par' }],
      ['a list', { aud: 'list' }],
      ['the issuer with a slash', { aud: 'slash' }],
    ])('an assertion for %s is refused: the audience is the issuer', async (_name, { aud }) => {
      const values: Record<string, unknown> = {
        token: `${own.issuer}/token`,
        par: `${own.issuer}/par`,
        list: [own.issuer],
        slash: `${own.issuer}/`,
      };
      const { status, body } = await fapiPost('/par', fapiForm(pkce()), {
        claims: { aud: values[aud as string] },
      });
      expect([status, body.error]).toEqual([401, 'invalid_client']);
    });

    it('skew of 8 seconds is fine, of more than 60 is not', async () => {
      const now = Math.floor(own.now / 1000);
      const status = async (claims: Claims): Promise<number> =>
        (await fapiPost('/par', fapiForm(pkce()), { claims })).status;
      expect(await status({ iat: now + 8, nbf: now + 8 })).toBe(201);
      expect(await status({ iat: now + 61 })).toBe(401);
      expect(await status({ nbf: now + 61 })).toBe(401);
    });

    it('RS256 is refused, in assertions and in proofs', async () => {
      expect((await fapiPost('/par', fapiForm(pkce()), { by: rsa })).body.error).toBe('invalid_client');
      expect((await redeemFapi(await fapiCode(), { dpop: rsa })).body.error).toMatch(
        /invalid_(dpop_proof|grant)/,
      );
      expect((await fapiPost('/par', fapiForm(pkce()), { dpop: rsa })).body.error).toBe('invalid_dpop_proof');
    });

    it('tokens are bound, or not given', async () => {
      const { body } = await redeemFapi(await fapiCode(), { dpop: null });
      expect(body.error).toBe('invalid_dpop_proof');
    });

    it('a code lives 60 seconds at most, and its second use, however soon, ends the first one’s token', async () => {
      const late = await fapiCode();
      own.pass(60);
      expect((await redeemFapi(late)).body.error).toBe('invalid_grant');
      const issued = await fapiCode();
      const { body } = await redeemFapi(issued);
      expect((await redeemFapi(issued)).body.error).toBe('invalid_grant');
      const introspected = await fapiPost(
        '/introspect',
        { token: body.access_token as string },
        { dpop: null },
      );
      expect(introspected.body).toEqual({ active: false });
    });

    it('request objects have nbf and exp, an hour apart at most', async () => {
      const now = Math.floor(own.now / 1000);
      const target = { clientId: 'fapi', issuer: own.issuer, now: own.now };
      const pushObject = async (claims: Claims): Promise<number> => {
        const { client_id: _, ...rest } = fapiForm(pkce());
        const object = await requestObject(key, target, { ...rest, aud: [own.issuer], ...claims });
        return (await fapiPost('/par', { request: object })).status;
      };
      expect(await pushObject({})).toBe(201);
      expect(await pushObject({ nbf: now + 8 })).toBe(201);
      expect(await pushObject({ nbf: undefined })).toBe(400);
      expect(await pushObject({ exp: undefined })).toBe(400);
      expect(await pushObject({ nbf: now - 3700 })).toBe(400);
      expect(await pushObject({ exp: now + 3700 })).toBe(400);
    });
  });
});
