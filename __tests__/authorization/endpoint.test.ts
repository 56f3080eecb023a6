import { createHash } from 'node:crypto';

import express, { type RequestHandler } from 'express';
import helmet from 'helmet';
import request from 'supertest';

import {
  CALLBACK,
  answerOf,
  authorizationForm,
  authorize,
  CLIENTS,
  getCode,
  makeHost,
  ORDERS,
  pkce,
  redeem,
  refresh,
  claimsOf,
  VARIANTS,
  type Form,
  type Host,
} from '../support/host';

const unsigned = { user: undefined };

/** What a browser does with the page: every field of the form that it got. */
function formOf(page: request.Response): { action: string; request: string } {
  const action = /action="([^"]+)"/.exec(page.text)?.[1];
  const sealed = /name="request" value="([^"]+)"/.exec(page.text)?.[1];
  if (!action || !sealed) throw new Error(`no form: ${page.status} ${page.text}`);
  return { action, request: sealed };
}

describe.each(VARIANTS)('/authorize on $store at the $mount', (variant) => {
  let host: Host;
  beforeEach(() => {
    host = makeHost(variant);
  });

  const pathOf = (url: string): string => url.replace('http://localhost:3000', '');
  const submit = (sealed: string, decision: string, more: Form = {}): request.Test =>
    request(host.app)
      .post(`${host.base}/consent`)
      .type('form')
      .set('Accept', 'application/json')
      .send({ request: sealed, decision, ...more });

  describe('who may be redirected to (RFC 6749 §3.1.2, RFC 9700 §4.1)', () => {
    it('sends a code, the state and the issuer to the client', async () => {
      const response = await authorize(host, authorizationForm('web', pkce()));
      expect(response.status).toBe(302);
      expect(response.headers.location).toMatch(/^https:\/\/app\.example\.com\/callback\?code=/);
      expect(answerOf(response)).toEqual({
        code: expect.stringMatching(/^[\w-]{72}$/) as string,
        state: 'xyz',
        iss: host.issuer,
      });
      expect(response.headers).toMatchObject({
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
      });
    });

    it.each([
      ['an unknown client', { client_id: 'nobody' }],
      ['no client', { client_id: undefined }],
      ['another redirect_uri', { redirect_uri: 'https://evil.example/callback' }],
      ['a path below', { redirect_uri: `${CALLBACK}/x` }],
      ['a path that climbs', { redirect_uri: `${CALLBACK}/../x` }],
      ['user information', { redirect_uri: 'https://app.example.com@evil.example/callback' }],
      ['another case', { redirect_uri: 'https://app.example.com/Callback' }],
      ['an added query', { redirect_uri: `${CALLBACK}?x=1` }],
      ['a trailing slash', { redirect_uri: `${CALLBACK}/` }],
      ['a fragment', { redirect_uri: `${CALLBACK}#x` }],
      ['javascript:', { redirect_uri: 'javascript:alert(1)' }],
      ['a port', { redirect_uri: 'https://app.example.com:444/callback' }],
      ['http instead of https', { redirect_uri: 'http://app.example.com/callback' }],
      ['a client id with control characters', { client_id: 'web\0' }],
    ])('%s: an error page, never a redirect', async (_name, wrong) => {
      const response = await authorize(host, authorizationForm('web', pkce(), wrong));
      expect([response.status, response.body.error]).toEqual([400, 'invalid_request']);
      expect(response.headers.location).toBeUndefined();
    });

    it('no redirect_uri will do if just one is registered', async () => {
      const response = await authorize(host, authorizationForm('web', pkce(), { redirect_uri: undefined }));
      expect(response.headers.location).toMatch(/^https:\/\/app\.example\.com\/callback\?code=/);
      const two = await authorize(host, authorizationForm('native', pkce(), { redirect_uri: undefined }));
      expect([two.status, two.headers.location]).toEqual([400, undefined]);
    });

    it.each([
      'https://a.example/cb?a=1&b',
      'https://a.example/cb?',
      'com.example.app:/cb',
      'com.example.app:/cb?x=%2F&y',
    ])('keeps %s byte for byte', async (redirectUri) => {
      const own = makeHost(variant, { clients: [{ ...CLIENTS.web, redirectUris: [redirectUri] }] });
      const response = await authorize(own, authorizationForm('web', pkce(), { redirect_uri: redirectUri }));
      const separator = !redirectUri.includes('?') ? '?' : redirectUri.endsWith('?') ? '' : '&';
      expect(response.headers.location!.startsWith(`${redirectUri}${separator}code=`)).toBe(true);
      const failed = await authorize(
        own,
        authorizationForm('web', pkce(), { redirect_uri: redirectUri, scope: 'nope' }),
      );
      expect(failed.headers.location!.startsWith(`${redirectUri}${separator}error=invalid_scope`)).toBe(true);
    });

    it.each([
      ['http://127.0.0.1:51004/cb', 'http://127.0.0.1/cb', true],
      ['http://127.0.0.1/cb', 'http://127.0.0.1:3000/cb', true],
      ['http://127.0.0.1:1/cb', 'http://127.0.0.1:3000/cb', true],
      ['http://[::1]:8080/cb', 'http://[::1]/cb', true],
      ['http://localhost:8080/cb', 'http://localhost/cb', true],
      ['http://localhost:8080/cb', 'http://127.0.0.1/cb', false],
      ['http://127.0.0.1:8080/other', 'http://127.0.0.1/cb', false],
      ['http://127.0.0.1:99999/cb', 'http://127.0.0.1/cb', false],
      ['http://127.0.0.1.evil.example:80/cb', 'http://127.0.0.1/cb', false],
      ['http://127.0.0.1:80@evil.example/cb', 'http://127.0.0.1/cb', false],
    ])(
      'the port of a loopback URI is free (RFC 8252 §7.3): %s for %s is %s',
      async (given, registered, accepted) => {
        const own = makeHost(variant, { clients: [{ ...CLIENTS.web, redirectUris: [registered] }] });
        const response = await authorize(own, authorizationForm('web', pkce(), { redirect_uri: given }));
        expect(response.status).toBe(accepted ? 302 : 400);
      },
    );

    it('the error page can be the host’s own, and falls back if that fails', async () => {
      const query = '/authorize?client_id=nobody';
      const own = makeHost(variant, { pages: { error: (_req, res, { code }) => res.send(`own ${code}`) } });
      const shown = await request(own.app)
        .get(own.base + query)
        .set('Accept', 'text/html');
      expect([shown.status, shown.text, shown.headers['x-frame-options']]).toEqual([
        400,
        'own invalid_request',
        'DENY',
      ]);
      const failing = makeHost(variant, { pages: { error: () => Promise.reject(new Error('template')) } });
      const fallback = await request(failing.app)
        .get(failing.base + query)
        .set('Accept', 'text/html');
      expect([fallback.status, fallback.text.includes('cannot be completed')]).toEqual([400, true]);
      expect(failing.events).toContainEqual({
        name: 'server.failed',
        event: { endpoint: 'pages.error', cause: new Error('template') },
      });
    });

    it('a page that fails halfway ends the connection, and one that cannot be sent is a plain 500', async () => {
      const query = '/authorize?client_id=nobody';
      const partial = makeHost(variant, {
        pages: {
          error: (_req, res) => {
            res.write('<h1>');
            throw new Error('template');
          },
        },
      });
      const visit = request(partial.app)
        .get(partial.base + query)
        .set('Accept', 'text/html');
      await expect(visit).rejects.toThrow(/aborted|hang up/);

      const failing = makeHost(variant, { pages: { error: () => Promise.reject(new Error('template')) } });
      failing.app.set('etag', () => {
        throw new Error('a setting of the host');
      });
      const plain = await request(failing.app)
        .get(failing.base + query)
        .set('Accept', 'text/html');
      expect([plain.status, plain.text]).toEqual([500, '{"error":"server_error"}']);
    });

    it('a host’s consent page that fails halfway ends the connection', async () => {
      const own = makeHost(variant, {
        pages: {
          consent: (_req, res) => {
            res.write('<h1>');
            throw new Error('template');
          },
        },
      });
      await expect(authorize(own, authorizationForm('third', pkce()))).rejects.toThrow(/aborted|hang up/);
      expect(own.events).toContainEqual({
        name: 'server.failed',
        event: { endpoint: 'authorize', cause: new Error('template') },
      });
    });

    it('a plain 500 has no headers of the response that it replaces', async () => {
      const own = makeHost(variant, {
        rateLimit: () => 5,
        pages: {
          error: (_req, res) => {
            res.setHeader('Content-Length', 100);
            throw new Error('template');
          },
        },
      });
      own.app.set('etag', () => {
        throw new Error('a setting of the host');
      });
      const plain = await request(own.app)
        .get(`${own.base}/authorize?client_id=nobody`)
        .set('Accept', 'text/html');
      expect([plain.status, plain.text]).toEqual([500, '{"error":"server_error"}']);
      expect(plain.headers).not.toHaveProperty('retry-after');
    });

    it('an event names no client by an id that none can have', async () => {
      await request(host.app).get(`${host.base}/authorize`).query({ client_id: 'web\u202egnp.exe' });
      expect(host.events.find(({ name }) => name === 'request.refused')!.event.clientId).toBeUndefined();
    });

    it.each([false, null, undefined, '', 0])(
      'authenticate that returns %p: nobody is signed in',
      async (none) => {
        const own = makeHost(variant, { authenticate: () => none as false });
        const { headers } = await authorize(own, authorizationForm('web', pkce()));
        const login = new URL(headers.location!, own.issuer);
        expect([login.pathname, login.searchParams.get('prompt')]).toEqual(['/login', null]);
        const back = await request(own.app)
          .get(pathOf(login.searchParams.get('return_to')!))
          .set('Accept', 'text/html');
        expect(back.text).toContain('You are not signed in');
      },
    );

    it('the pages have the host’s name, logo and colours', async () => {
      const branding = {
        name: 'Acme & Co',
        logoUrl: 'https://acme.example/logo.png',
        colors: { accent: '#123456' },
      };
      const { text } = await request(makeHost(variant, { pages: { branding } }).app)
        .get(`${host.base}/authorize`)
        .set('Accept', 'text/html');
      for (const part of [
        'alt="Acme &amp; Co"',
        'src="https://acme.example/logo.png"',
        '--accent: #123456',
      ]) {
        expect(text).toContain(part);
      }
    });

    it('tells the operator whose request was refused', async () => {
      await authorize(host, authorizationForm('web', pkce(), { redirect_uri: 'https://evil.example' }));
      expect(host.events).toContainEqual({
        name: 'request.refused',
        event: expect.objectContaining({
          endpoint: 'authorize',
          clientId: 'web',
          reason: 'redirect_uri https://evil.example',
        }) as object,
      });
    });

    it('says nothing on its pages that a stranger wrote', async () => {
      const name = encodeURIComponent('Your account is suspended. Call us');
      const response = await request(host.app).get(
        `${host.base}/authorize?${name}=1&${name}=2&client_id=web&redirect_uri=x`,
      );
      expect(response.text).not.toContain('suspended');
      const posted = await request(host.app)
        .post(`${host.base}/consent`)
        .type('form')
        .send(`${name}=1&${name}=2`);
      expect([posted.status, posted.text.includes('suspended')]).toEqual([400, false]);
    });

    it('a page takes back what the host allowed to other origins', async () => {
      const open: RequestHandler = (_req, res, next) => {
        res.set({
          'Access-Control-Allow-Origin': 'https://evil.example',
          'Access-Control-Allow-Credentials': 'true',
        });
        next();
      };
      const app = express().use(open, host.app);
      const query = new URLSearchParams(authorizationForm('third', pkce())).toString();
      const consent = await request(app).get(`${host.base}/authorize?${query}`);
      expect(consent.status).toBe(200);
      expect(consent.headers).not.toHaveProperty('access-control-allow-origin');
      const jwks = await request(app).get(`${host.base}/jwks`);
      expect(jwks.headers['access-control-allow-origin']).toBe('*');
      expect(jwks.headers).not.toHaveProperty('access-control-allow-credentials');
    });

    it('answers a browser with a page that nobody may frame, and shows nothing unescaped', async () => {
      const response = await authorize(
        host,
        authorizationForm('web', pkce(), { client_id: '<script>alert(1)</script>' }),
      ).set('Accept', 'text/html,*/*');
      expect(response.status).toBe(400);
      expect(response.type).toBe('text/html');
      expect(response.headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(response.text).not.toContain('<script');
    });
  });

  describe('what goes to the client as an error (RFC 6749 §4.1.2.1)', () => {
    it.each<[string, Form, string]>([
      ['no response_type', { response_type: undefined }, 'invalid_request'],
      ['response_type=token', { response_type: 'token' }, 'unsupported_response_type'],
      ['an unknown response_type', { response_type: 'code id_token' }, 'unsupported_response_type'],
      ['no PKCE', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
      ['plain PKCE', { code_challenge_method: 'plain' }, 'invalid_request'],
      [
        'a challenge without a method, which means plain',
        { code_challenge_method: undefined },
        'invalid_request',
      ],
      ['a method without a challenge', { code_challenge: undefined }, 'invalid_request'],
      ['a challenge that is too short', { code_challenge: 'a'.repeat(42) }, 'invalid_request'],
      ['a challenge that is no base64url', { code_challenge: `${'a'.repeat(42)}+` }, 'invalid_request'],
      ['a scope that the client has not', { scope: 'profile admin' }, 'invalid_scope'],
      ['a malformed scope', { scope: 'profile "' }, 'invalid_scope'],
      ['prompt=none with another', { prompt: 'none login' }, 'invalid_request'],
      ['an unknown prompt', { prompt: 'sing' }, 'invalid_request'],
      ['a max_age that is no number', { max_age: '-1' }, 'invalid_request'],
      ['an unknown resource', { resource: 'https://evil.example' }, 'invalid_target'],
      ['another response_mode', { response_mode: 'fragment' }, 'invalid_request'],
      ['an unsigned request object', { request: 'eyJhbGciOiJub25lIn0.e30.' }, 'invalid_request_object'],
      ['a request_uri', { request_uri: 'https://evil.example' }, 'request_uri_not_supported'],
    ])('%s', async (_name, wrong, error) => {
      const response = await authorize(host, authorizationForm('web', pkce(), wrong));
      expect(response.status).toBe(302);
      expect(response.headers.location!.startsWith(`${CALLBACK}?error=`)).toBe(true);
      expect(answerOf(response)).toEqual({
        error,
        error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/) as string,
        state: 'xyz',
        iss: host.issuer,
      });
    });

    it('a client that is not registered for codes', async () => {
      const own = makeHost(variant, { clients: [{ ...CLIENTS.web, grantTypes: ['client_credentials'] }] });
      expect(answerOf(await authorize(own, authorizationForm('web', pkce()))).error).toBe(
        'unauthorized_client',
      );
    });

    it('a repeated parameter, its state kept', async () => {
      const query = new URLSearchParams(authorizationForm('web', pkce())).toString();
      expect(answerOf(await authorize(host, `${query}&scope=a&scope=b`))).toMatchObject({
        error: 'invalid_request',
        state: 'xyz',
      });
      const twoStates = answerOf(await authorize(host, `${query}&state=other`));
      expect(twoStates).toMatchObject({ error: 'invalid_request' });
      expect(twoStates).not.toHaveProperty('state');
    });

    it('an authenticate that throws is server_error, and its message stays here', async () => {
      const own = makeHost(variant, {
        authenticate: () => Promise.reject(new Error('session store at 10.0.0.1 is down')),
      });
      const response = await authorize(own, authorizationForm('web', pkce()));
      expect(answerOf(response)).toMatchObject({ error: 'server_error', state: 'xyz' });
      expect(response.headers.location).not.toContain('10.0.0.1');
      expect(own.events.find(({ name }) => name === 'server.failed')?.event.cause).toMatchObject({
        message: 'session store at 10.0.0.1 is down',
      });
    });

    it('a store that fails is temporarily_unavailable', async () => {
      const saveGrant = (): Promise<void> => Promise.reject(new Error('disk full'));
      const own = makeHost(variant, { adapter: { ...host.adapter, saveGrant } });
      expect(answerOf(await authorize(own, authorizationForm('web', pkce())))).toMatchObject({
        error: 'temporarily_unavailable',
        state: 'xyz',
      });
    });

    it.each([
      ['an id that is no id', { id: { toString: (): string => 'alice' } as never }],
      ['no id', {} as never],
      ['an unsafe integer', { id: 2 ** 60 }],
      ['the id of the client', { id: 'web' }],
      ['an authTime in milliseconds', { id: 'alice', authTime: Date.now() }],
    ])('a user with %s is server_error', async (_name, user) => {
      host.user = user;
      expect(answerOf(await authorize(host, authorizationForm('web', pkce()))).error).toBe('server_error');
    });
  });

  it('grants the scope and the resource that were asked for', async () => {
    const issued = await getCode(host, 'web', { scope: 'orders:read', resource: ORDERS });
    const { body } = await redeem(host, 'web', issued);
    expect(claimsOf(body.access_token as string)).toMatchObject({ scope: 'orders:read', aud: ORDERS });
  });

  it('an unknown parameter is ignored, a long state comes back', async () => {
    const state = 's'.repeat(1500);
    const answer = answerOf(await authorize(host, authorizationForm('web', pkce(), { state, foo: 'bar' })));
    expect([answer.state, typeof answer.code]).toEqual([state, 'string']);
  });

  it('takes POST, and answers it with 303', async () => {
    const response = await request(host.app)
      .post(`${host.base}/authorize`)
      .type('form')
      .send(authorizationForm('web', pkce()));
    expect(response.status).toBe(303);
    expect(answerOf(response)).toHaveProperty('code');
  });

  it.each(['HEAD', 'PUT', 'DELETE', 'OPTIONS'])('%s is 405', async (method) => {
    const url = `${host.base}/authorize?${new URLSearchParams(authorizationForm('web', pkce())).toString()}`;
    const response = await request(host.app)[method.toLowerCase() as 'head'](url);
    expect([response.status, response.headers.allow]).toEqual([405, 'GET, POST']);
    expect(response.headers).not.toHaveProperty('access-control-allow-origin');
    expect(host.eventNames()).not.toContain('authorization_code.issued');
  });

  describe('signing in', () => {
    it('goes to the login with a way back, and comes back to a code', async () => {
      Object.assign(host, unsigned);
      const form = authorizationForm('web', pkce(), { login_hint: 'alice@example.com' });
      const toLogin = await authorize(host, form);
      expect([toLogin.status, toLogin.headers.location!.split('?')[0]]).toEqual([302, '/login']);
      const { return_to: returnTo, login_hint: hint } = answerOf(toLogin) as {
        return_to: string;
        login_hint: string;
      };
      expect(hint).toBe('alice@example.com');
      expect(returnTo.startsWith(`${host.base}/authorize?`)).toBe(true);
      expect(host.oauth.isResumeUrl(returnTo)).toBe(true);

      host.user = { id: 'alice' };
      const done = await request(host.app).get(returnTo);
      expect(answerOf(done)).toMatchObject({ code: expect.any(String) as string, state: 'xyz' });
      // GET is safe to repeat: a second tab gets a code of its own.
      expect(answerOf(await request(host.app).get(returnTo)).code).not.toBe(answerOf(done).code);
    });

    it.each([
      ['by POST', 'post', {}],
      ['with a long state', 'get', { state: 's'.repeat(3000) }],
    ] as const)('a request %s is spent when the code is issued', async (_name, method, more) => {
      Object.assign(host, unsigned);
      const form = authorizationForm('web', pkce(), more);
      const agent = request(host.app);
      const posted =
        method === 'post' && (await agent.post(`${host.base}/authorize`).type('form').send(form));
      // The form may have come from another site, without the host's cookie: the browser comes again.
      if (posted) expect(posted.status).toBe(303);
      const toLogin = posted
        ? await request(host.app).get(posted.headers.location!)
        : await authorize(host, form);
      const returnTo = answerOf(toLogin).return_to!;
      // Visiting it before the login spends nothing.
      await request(host.app).get(returnTo);
      host.user = { id: 'alice' };
      const done = answerOf(await request(host.app).get(returnTo));
      expect(done).toMatchObject({ code: expect.any(String) as string, state: form.state });
      // Whoever comes back at once is the same user in a second tab, and anybody else gets nothing.
      expect(answerOf(await request(host.app).get(returnTo)).code).toBe(done.code);
      host.user = { id: 'mallory' };
      expect(answerOf(await request(host.app).get(returnTo)).code).toBeUndefined();
      host.user = { id: 'alice' };
      host.pass(11);
      expect((await request(host.app).get(returnTo)).status).toBe(400);
      expect(await host.oauth.listGrants('alice')).toHaveLength(1);
      expect(await host.oauth.listGrants('mallory')).toHaveLength(0);
    });

    it('an absolute login URL gets an absolute way back', async () => {
      const own = makeHost(variant, { loginUrl: 'https://login.example.com/in?lang=de' });
      own.user = undefined;
      const { location } = (await authorize(own, authorizationForm('web', pkce()))).headers;
      expect(location!.startsWith('https://login.example.com/in?lang=de&return_to=')).toBe(true);
      expect(new URL(location!).searchParams.get('return_to')).toMatch(`${own.issuer}/authorize?`);
    });

    it('a login function answers the request itself', async () => {
      const own = makeHost(variant, {
        loginUrl: (_req, res, { resumeUrl, request: { client, prompt } }) =>
          res.json({ resumeUrl, client: client.clientId, prompt }),
      });
      own.user = undefined;
      const { body } = await authorize(own, authorizationForm('web', pkce(), { prompt: 'login' }));
      expect(body).toEqual({
        resumeUrl: expect.stringContaining(`${own.issuer}/authorize?`) as string,
        client: 'web',
        prompt: ['login'],
      });
    });

    it('a login function that answers, and fails afterwards, keeps its answer', async () => {
      const own = makeHost(variant, {
        loginUrl: (_req, res) => {
          res.redirect('/elsewhere');
          return Promise.reject(new Error('the audit log is down'));
        },
      });
      own.user = undefined;
      const response = await authorize(own, authorizationForm('web', pkce()));
      expect([response.status, response.headers.location]).toEqual([302, '/elsewhere']);
      expect(own.eventNames()).toEqual(['server.failed', 'request.refused']);
    });

    it('keeps nothing of a request that it does not read, and does not park what is too long', async () => {
      const put = jest.fn(host.adapter.put);
      const own = makeHost(variant, { adapter: { ...host.adapter, put } });
      own.user = undefined;
      const post = (more: Form): request.Test =>
        request(own.app)
          .post(`${own.base}/authorize`)
          .type('form')
          .send(authorizationForm('web', pkce(), more));
      await post({ junk: 'j'.repeat(8000), more_junk: 'j'.repeat(8000) });
      // What fits into a URL is not kept at all: nobody knows who sent it.
      await post({ prompt: 'login' });
      await post({ max_age: '0' });
      expect(put).not.toHaveBeenCalled();
      await post({ state: 's'.repeat(3000), junk: 'j'.repeat(8000) });
      expect(put.mock.calls.map(([, value, ttl]) => [value.length < 5000, ttl])).toEqual([[true, 900]]);
      expect(answerOf(await post({ state: 's'.repeat(8190), login_hint: 'l'.repeat(500) }))).toMatchObject({
        error: 'invalid_request',
      });
      expect(put).toHaveBeenCalledTimes(1);
    });

    it('the way back is short enough for a URL in a URL, whatever is in the state', async () => {
      host.user = undefined;
      for (const state of ['€'.repeat(1400), '+/='.repeat(600)]) {
        const { location } = (await authorize(host, authorizationForm('web', pkce(), { state }))).headers;
        expect(location!.length).toBeLessThan(3000);
      }
    });

    it('a store that fails when the code is saved does not spend the request', async () => {
      let fails = true;
      const saveGrant = (grant: never): unknown =>
        fails ? Promise.reject(new Error('down')) : host.adapter.saveGrant(grant);
      const own = makeHost(variant, { adapter: { ...host.adapter, saveGrant } });
      own.user = undefined;
      const toLogin = await authorize(own, authorizationForm('web', pkce(), { state: 's'.repeat(3000) }));
      own.user = { id: 'alice' };
      const returnTo = answerOf(toLogin).return_to!;
      expect(answerOf(await request(own.app).get(returnTo)).error).toBe('temporarily_unavailable');
      fails = false;
      expect(answerOf(await request(own.app).get(returnTo))).toHaveProperty('code');
    });

    it('of many who finish a parked request at once, all get the same code', async () => {
      host.user = undefined;
      const toLogin = await authorize(host, authorizationForm('web', pkce(), { state: 's'.repeat(3000) }));
      host.user = { id: 'alice' };
      const visits = Array.from({ length: 8 }, async () =>
        answerOf(await request(host.app).get(answerOf(toLogin).return_to!)),
      );
      const codes = new Set((await Promise.all(visits)).map(({ code }) => code));
      expect([codes.size, codes.has(undefined as never)]).toEqual([1, false]);
      expect(await host.oauth.listGrants('alice')).toHaveLength(1);
    });

    it('a code that was redeemed or revoked is not handed out again: its second use would end the session', async () => {
      const forms = { prompt: 'login' };
      host.user = undefined;
      const pair = pkce();
      const toLogin = await authorize(host, authorizationForm('web', pair, forms));
      host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
      const back = answerOf(toLogin).return_to!;
      const { code } = answerOf(await request(host.app).get(back));
      const { body } = await redeem(host, 'web', { code: code!, verifier: pair.verifier });
      expect(answerOf(await request(host.app).get(back)).code).toBeUndefined();
      const { refresh_token: token } = body as { refresh_token: string };
      expect((await refresh(host, 'web', token)).status).toBe(200);
    });

    it('an answer of the store that is lost does not make the request impossible', async () => {
      let lost = 1;
      const setOnce = async (key: string, ttl: number): Promise<boolean> => {
        const first = await host.adapter.setOnce(key, ttl);
        if (key.startsWith('completed:') && lost-- > 0) throw new Error('the connection was reset');
        return first;
      };
      const own = makeHost(variant, { adapter: { ...host.adapter, setOnce }, storeTimeout: 0.3 });
      own.user = undefined;
      const toLogin = await authorize(own, authorizationForm('web', pkce(), { prompt: 'login' }));
      own.user = { id: 'alice', authTime: Math.floor(own.now / 1000) };
      const back = answerOf(toLogin).return_to!;
      const { code } = answerOf(await request(own.app).get(back));
      expect(code).toBeDefined();
      expect(answerOf(await request(own.app).get(back)).code).toBe(code);
    });

    it.each([
      { whose: 'the second', errors: [] },
      // The first visit waits longer for a record of another than the second waits for that of the first.
      { whose: 'the first', errors: ['invalid_request'] },
    ])(
      'a lost answer to $whose of two visits, while the record of a completion is slow, does not make two codes',
      async ({ whose, errors }) => {
        let isLost = false;
        const own = makeHost(variant, {
          adapter: {
            ...host.adapter,
            setOnce: async (key, ttl) => {
              const first = await host.adapter.setOnce(key, ttl);
              const isTheirs = key.startsWith('completed:') && first === (whose === 'the first');
              if (isTheirs && !isLost) {
                isLost = true;
                throw new Error('the connection was reset');
              }
              return first;
            },
            put: async (key, value, ttl) => {
              if (key.startsWith('completion:')) await new Promise((resolve) => setTimeout(resolve, 800));
              return host.adapter.put(key, value, ttl);
            },
          },
          storeTimeout: 2,
        });
        own.user = undefined;
        const toLogin = await authorize(own, authorizationForm('web', pkce(), { prompt: 'login' }));
        own.user = { id: 'alice', authTime: Math.floor(own.now / 1000) };
        const back = answerOf(toLogin).return_to!;
        const visits = await Promise.all([1, 2].map(async () => answerOf(await request(own.app).get(back))));
        expect(visits.flatMap(({ error }) => error ?? [])).toEqual(errors);
        const codes = visits.flatMap(({ code }) => code ?? []);
        expect([isLost, codes.length, new Set(codes).size]).toEqual([true, 2 - errors.length, 1]);
        expect(await own.oauth.listGrants('alice')).toHaveLength(1);
      },
    );

    it('refuses a resume parameter that was changed, is of another request or server, or has expired', async () => {
      Object.assign(host, unsigned);
      const returnTo = answerOf(await authorize(host, authorizationForm('web', pkce()))).return_to!;
      const foreign = makeHost(variant, { secrets: ['another secret that is long enough for it'] });
      foreign.user = undefined;
      const otherReturn = answerOf(await authorize(foreign, authorizationForm('web', pkce()))).return_to!;
      host.user = { id: 'alice' };
      const parameter = (url: string): string => new URLSearchParams(url.split('?')[1]).get('resume')!;
      const seal = parameter(returnTo);
      for (const url of [
        returnTo.replace('scope=', 'scope=orders%3Awrite'),
        returnTo.replace('state=xyz', 'state=abc'),
        returnTo.replace(seal, `${seal.slice(0, 40)}${seal[40] === 'A' ? 'B' : 'A'}${seal.slice(41)}`),
        returnTo.replace(seal, parameter(otherReturn)),
        `${returnTo}&resume=${seal}`,
      ].filter((url) => url !== returnTo)) {
        const response = await request(host.app).get(url).set('Accept', 'application/json');
        expect([response.status, response.headers.location]).toEqual([400, undefined]);
      }
      host.pass(3600);
      expect(host.oauth.isResumeUrl(returnTo)).toBe(false);
      expect((await request(host.app).get(returnTo)).status).toBe(400);
    });

    it.each([
      'https://evil.example',
      '//evil.example',
      '/\\evil.example',
      '/login',
      '',
      undefined,
      7,
      '/api/v1/oauth/authorize?resume=x',
      'javascript:alert(1)',
    ])('isResumeUrl keeps the login from being an open redirect: %s', (url) => {
      expect(host.oauth.isResumeUrl(url)).toBe(false);
    });

    it('isResumeUrl refuses its own URL on another host', async () => {
      Object.assign(host, unsigned);
      const returnTo = answerOf(await authorize(host, authorizationForm('web', pkce()))).return_to!;
      for (const prefix of ['https://evil.example', '//evil.example', '\t', '/\\evil.example', 'x']) {
        expect(host.oauth.isResumeUrl(prefix + returnTo)).toBe(false);
      }
      expect(host.oauth.isResumeUrl(`http://localhost:3000${returnTo}`)).toBe(true);
    });

    it('a host that sends people straight back gets a page, not a loop', async () => {
      Object.assign(host, unsigned);
      const returnTo = answerOf(await authorize(host, authorizationForm('web', pkce()))).return_to!;
      const bounced = await request(host.app).get(returnTo);
      expect([bounced.status, bounced.type]).toEqual([400, 'text/html']);
      const again = /href="([^"]+)"/.exec(bounced.text)![1]!.replaceAll('&amp;', '&');
      expect((await request(host.app).get(again)).headers.location).toMatch(/^\/login\?/);
      // Who signs in from there gets on.
      host.user = { id: 'alice' };
      expect(answerOf(await request(host.app).get(again))).toHaveProperty('code');
    });

    it('prompt=none not signed in is login_required, signed in it is silent', async () => {
      Object.assign(host, unsigned);
      const form = authorizationForm('web', pkce(), { prompt: 'none' });
      expect(answerOf(await authorize(host, form))).toMatchObject({ error: 'login_required', state: 'xyz' });
      host.user = { id: 'alice' };
      expect(answerOf(await authorize(host, form))).toHaveProperty('code');
    });

    it.each([
      ['prompt=login', { prompt: 'login' }],
      ['max_age that has passed', { max_age: '60' }],
      ['max_age=0', { max_age: '0' }],
    ])('%s asks again, and is content with a fresh authTime', async (_name, more) => {
      const authTime = (): number => Math.floor(host.now / 1000);
      host.user = { id: 'alice', authTime: authTime() };
      host.pass(61);
      const toLogin = await authorize(host, authorizationForm('web', pkce(), more));
      expect(toLogin.headers.location).toMatch(/^\/login\?/);
      host.pass(5);
      host.user = { id: 'alice', authTime: authTime() };
      expect(answerOf(await request(host.app).get(answerOf(toLogin).return_to!))).toHaveProperty('code');
    });

    it('prompt=login asks also who signed in this very second', async () => {
      host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
      expect(
        (await authorize(host, authorizationForm('web', pkce(), { prompt: 'login' }))).headers.location,
      ).toMatch(/^\/login\?/);
    });

    it.each([
      ['an old authTime', 100],
      ['none', undefined],
    ])('a login that gives %s does not loop: login_required', async (_name, age) => {
      const authTime = age === undefined ? undefined : Math.floor(host.now / 1000) - age;
      host.user = { id: 'alice', authTime };
      const toLogin = await authorize(host, authorizationForm('web', pkce(), { prompt: 'login' }));
      const back = await request(host.app).get(answerOf(toLogin).return_to!);
      expect(answerOf(back)).toMatchObject({ error: 'login_required', state: 'xyz' });
    });

    it('max_age that has not passed asks nobody, and authTime is in the token', async () => {
      const authTime = Math.floor(host.now / 1000) - 50;
      host.user = { id: 'alice', authTime };
      const { body } = await redeem(host, 'web', await getCode(host, 'web', { max_age: '60' }));
      expect(claimsOf(body.access_token as string).auth_time).toBe(authTime);
    });

    it('prompt=select_account goes to the login once', async () => {
      const toLogin = await authorize(host, authorizationForm('web', pkce(), { prompt: 'select_account' }));
      expect(answerOf(toLogin).prompt).toBe('select_account');
      expect(answerOf(await request(host.app).get(answerOf(toLogin).return_to!))).toHaveProperty('code');
    });
  });

  describe('consent', () => {
    const page = (more: Form = {}, client: 'third' | 'native' = 'third'): request.Test =>
      authorize(host, authorizationForm(client, pkce(), more)).set('Accept', 'text/html');

    it('shows who asks for what, escaped, on a page that nobody may frame', async () => {
      const response = await page();
      expect([response.status, response.type]).toEqual([200, 'text/html']);
      expect(response.headers).toMatchObject({
        'x-frame-options': 'DENY',
        'cache-control': 'no-store',
        'referrer-policy': 'same-origin',
      });
      const policy = response.headers['content-security-policy'];
      expect(policy).toContain("frame-ancestors 'none'");
      // Chrome would stop the redirect to the client.
      expect(policy).not.toContain('form-action');
      expect(response.text).toContain('Third &amp; &lt;b&gt;Sons&lt;/b&gt;');
      expect(response.text).not.toContain('<b>Sons');
      expect(response.text).toContain('See your orders');
      expect(response.text).toContain('alice');
      expect(response.text).toContain('app.example.com');
      expect(formOf(response).action).toBe(`${host.issuer}/consent`);
    });

    it('without scope says what the client learns, and of which services', async () => {
      const client = { ...CLIENTS.third, scope: '' };
      host = makeHost(variant, { clients: [client] });
      const alone = await page({ scope: '' });
      expect(alone.text).toContain('the id of your account, and nothing else.');
      const { text } = await page({ scope: '', resource: ORDERS });
      expect(text).toContain('the id of your account.');
      expect(text).toContain(`<li>${ORDERS}</li>`);
    });

    it('allowing gives a code for what was shown, and is remembered', async () => {
      const pair = pkce();
      const shown = await authorize(host, authorizationForm('third', pair, { scope: 'profile' })).set(
        'Accept',
        'text/html',
      );
      const allowed = await submit(formOf(shown).request, 'allow');
      expect([allowed.status, allowed.headers.location!.split('?')[0]]).toEqual([303, CALLBACK]);
      const { body } = await redeem(host, 'third', {
        code: answerOf(allowed).code!,
        verifier: pair.verifier,
      });
      expect(body.scope).toBe('profile');
      expect(host.events).toContainEqual({
        name: 'consent.given',
        event: { clientId: 'third', userId: 'alice', scope: 'profile' },
      });

      expect(answerOf(await page({ scope: 'profile' }))).toHaveProperty('code');
      expect(answerOf(await page({ scope: 'profile', prompt: 'none' }))).toHaveProperty('code');
      // More than before, for another user, or when it is asked for: again.
      expect((await page({ scope: 'profile orders:read' })).status).toBe(200);
      expect((await page({ scope: 'profile', resource: ORDERS })).status).toBe(200);
      expect((await page({ scope: 'profile', prompt: 'consent' })).status).toBe(200);
      host.user = { id: 'bob' };
      expect((await page({ scope: 'profile' })).status).toBe(200);
    });

    it('a scope that is allowed later adds to what was allowed before', async () => {
      await submit(formOf(await page({ scope: 'profile' })).request, 'allow');
      await submit(formOf(await page({ scope: 'orders:read' })).request, 'allow');
      expect(answerOf(await page({ scope: 'profile orders:read' }))).toHaveProperty('code');
    });

    it('denying is access_denied, and is not remembered', async () => {
      const denied = await submit(formOf(await page()).request, 'deny');
      expect(answerOf(denied)).toMatchObject({ error: 'access_denied', state: 'xyz', iss: host.issuer });
      expect(host.eventNames()).toContain('consent.denied');
      expect((await page()).status).toBe(200);
    });

    it('prompt=none without consent is consent_required', async () => {
      expect(answerOf(await page({ prompt: 'none' }))).toMatchObject({
        error: 'consent_required',
        state: 'xyz',
      });
    });

    it('a decision of another user counts for nothing', async () => {
      const sealed = formOf(await page()).request;
      host.user = { id: 'mallory' };
      const response = await submit(sealed, 'allow');
      expect(response.headers.location).toBeUndefined();
      expect(response.text).toContain('mallory');
      expect(host.eventNames()).not.toContain('authorization_code.issued');
    });

    it('a decision of nobody goes to the login first', async () => {
      const sealed = formOf(await page()).request;
      host.user = undefined;
      const response = await submit(sealed, 'allow');
      expect([response.status, response.headers.location!.startsWith('/login?')]).toEqual([303, true]);
    });

    it.each([
      [
        'changed',
        (sealed: string) => `${sealed.slice(0, 60)}${sealed[60] === 'A' ? 'B' : 'A'}${sealed.slice(61)}`,
      ],
      ['cut', (sealed: string) => sealed.slice(0, -4)],
      ['not base64url', (sealed: string) => `${sealed}+`],
      ['empty', () => ''],
    ])('a form whose seal was %s is refused', async (_name, change) => {
      const response = await submit(change(formOf(await page()).request), 'allow');
      expect([response.status, response.headers.location]).toEqual([400, undefined]);
    });

    it('what was added to the form changes nothing', async () => {
      const pair = pkce();
      const shown = await authorize(host, authorizationForm('third', pair, { scope: 'profile' })).set(
        'Accept',
        'text/html',
      );
      const more = {
        scope: 'profile orders:read',
        client_id: 'web',
        user: 'bob',
        redirect_uri: 'https://evil.example',
      };
      const allowed = await submit(formOf(shown).request, 'allow', more);
      const { body } = await redeem(host, 'third', {
        code: answerOf(allowed).code!,
        verifier: pair.verifier,
      });
      expect(body.scope).toBe('profile');
    });

    it('a resume parameter is no form, and a form is no resume parameter', async () => {
      const sealed = formOf(await page()).request;
      host.user = undefined;
      const returnTo = answerOf(await page()).return_to!;
      host.user = { id: 'alice' };
      const resume = new URLSearchParams(returnTo.split('?')[1]).get('resume')!;
      expect((await submit(resume, 'allow')).status).toBe(400);
      expect((await request(host.app).get(`${host.base}/authorize?resume=${sealed}`)).status).toBe(400);
    });

    it('an unknown decision is refused, and so is a page that was open for too long', async () => {
      const sealed = formOf(await page()).request;
      expect((await submit(sealed, 'perhaps')).status).toBe(400);
      host.pass(600);
      expect((await submit(sealed, 'allow')).status).toBe(400);
    });

    it('what the client may not have any more is not granted', async () => {
      const pair = pkce();
      const shown = await authorize(host, authorizationForm('third', pair)).set('Accept', 'text/html');
      const reduced = makeHost(variant, {
        adapter: host.adapter,
        clients: [{ ...CLIENTS.third, scope: 'profile' }],
      });
      const allowed = await request(reduced.app)
        .post(`${host.base}/consent`)
        .type('form')
        .send({ request: formOf(shown).request, decision: 'allow' });
      const { body } = await redeem(reduced, 'third', {
        code: answerOf(allowed).code!,
        verifier: pair.verifier,
      });
      expect(body.scope).toBe('profile');
    });

    it('a public client on loopback or a custom scheme is never silent (RFC 8252 §8.6)', async () => {
      for (const redirectUri of ['http://127.0.0.1:5000/cb', 'com.example.app:/cb']) {
        const shown = await page({ redirect_uri: redirectUri }, 'native');
        expect(shown.status).toBe(200);
        expect(answerOf(await submit(formOf(shown).request, 'allow'))).toHaveProperty('code');
        expect((await page({ redirect_uri: redirectUri }, 'native')).status).toBe(200);
        expect(answerOf(await page({ redirect_uri: redirectUri, prompt: 'none' }, 'native')).error).toBe(
          'consent_required',
        );
      }
    });

    it('survives a request that is long: it is parked, and spent once', async () => {
      const state = 's'.repeat(3000);
      const shown = await page({ state });
      const { request: sealed } = formOf(shown);
      expect(sealed.length).toBeLessThan(1000);
      expect(answerOf(await submit(sealed, 'allow'))).toMatchObject({
        state,
        code: expect.any(String) as string,
      });
      host.pass(11);
      expect(answerOf(await submit(sealed, 'allow')).code).toBeUndefined();
    });

    it('comes after the login of the same request', async () => {
      host.user = undefined;
      const toLogin = await page({ prompt: 'login consent' });
      host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
      const shown = await request(host.app).get(answerOf(toLogin).return_to!);
      expect(answerOf(await submit(formOf(shown).request, 'allow'))).toHaveProperty('code');
    });

    it('GET is 405', async () => {
      expect((await request(host.app).get(`${host.base}/consent`)).status).toBe(405);
    });

    it('its style is the one that its policy allows', async () => {
      const { text, headers } = await page();
      const style = /<style>([^]*)<\/style>/.exec(text)![1]!;
      const hash = createHash('sha256').update(style).digest('base64');
      expect(headers['content-security-policy']).toContain(`style-src 'sha256-${hash}'`);
    });

    it('works for a client with very many scope values', async () => {
      const scope = Array.from(
        { length: 300 },
        (_, position) => `https://api.example.com/scopes/${position}`,
      ).join(' ');
      const own = makeHost(variant, { clients: [{ ...CLIENTS.third, scope }] });
      const shown = await authorize(own, authorizationForm('third', pkce())).set('Accept', 'text/html');
      const allowed = await request(own.app)
        .post(`${own.base}/consent`)
        .type('form')
        .send({ request: formOf(shown).request, decision: 'allow' });
      expect(answerOf(allowed)).toHaveProperty('code');
    });

    it('a scope value may be called like a function of every object', async () => {
      const own = makeHost(variant, { clients: [{ ...CLIENTS.third, scope: 'constructor __proto__' }] });
      const shown = await authorize(own, authorizationForm('third', pkce())).set('Accept', 'text/html');
      expect([shown.status, shown.text.includes('<li>__proto__</li>')]).toEqual([200, true]);
    });

    it('can be the host’s own page', async () => {
      const own = makeHost(variant, {
        adapter: host.adapter,
        pages: {
          consent: (_req, res, { client, user, scopes, action, request: sealed }) =>
            res.json({ client: client.clientId, user: user!.id, scopes, action, request: sealed }),
        },
      });
      const { body, headers } = await authorize(own, authorizationForm('third', pkce()));
      expect(headers).toMatchObject({ 'x-frame-options': 'DENY', 'cache-control': 'no-store' });
      expect(body).toMatchObject({ client: 'third', user: 'alice', action: `${own.issuer}/consent` });
      expect(body.scopes).toEqual([
        { value: 'profile', description: 'See your name and profile' },
        { value: 'orders:read', description: 'See your orders' },
      ]);
      const answer = await request(own.app)
        .post(pathOf(body.action as string))
        .type('form')
        .send({ request: body.request as string, decision: 'allow' });
      expect(answerOf(answer)).toHaveProperty('code');
    });

    it('replaces the headers that a host’s middleware has set', async () => {
      const own = makeHost(variant);
      const app = express().use(helmet(), own.app);
      const url = `${own.base}/authorize?${new URLSearchParams(authorizationForm('third', pkce())).toString()}`;
      const { headers } = await request(app).get(url);
      expect(headers['content-security-policy']).not.toContain('form-action');
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    });
  });
});
