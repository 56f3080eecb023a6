import request from 'supertest';

import {
  answerOf,
  authorize,
  CALLBACK,
  makeHost,
  pkce,
  VARIANTS,
  type Host,
  type HostOptions,
} from '../support/host';

/** A client that registered a second ago. */
async function register(host: Host, more: object = {}): Promise<string> {
  const { body } = await request(host.app)
    .post(`${host.base}/register`)
    .send({
      client_name: 'Stranger',
      redirect_uris: [CALLBACK],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      ...more,
    })
    .expect(201);
  return (body as { client_id: string }).client_id;
}

describe.each(VARIANTS)('clients that nobody vouches for, on $store at the $mount', (variant) => {
  let host: Host;
  let clientId: string;
  beforeEach(async () => {
    host = openHost();
    clientId = await register(host);
  });

  const openHost = (options: HostOptions = {}): Host =>
    makeHost(variant, {
      registration: { open: true },
      scopes: { 'orders:read': 'See your orders', 'orders:write': 'Order things' },
      ...options,
    });

  const page = async (
    more: Record<string, string> = {},
    own = host,
    headers: Record<string, string> = {},
  ): Promise<request.Response> =>
    authorize(own, {
      response_type: 'code',
      client_id: clientId,
      redirect_uri: CALLBACK,
      code_challenge: pkce().challenge,
      code_challenge_method: 'S256',
      state: 'xyz',
      scope: 'orders:read',
      ...more,
    }).set({ Accept: 'text/html', ...headers });

  async function decide(shown: request.Response, decision = 'allow', own = host): Promise<request.Response> {
    const sealed = /name="request" value="([^"]+)"/.exec(shown.text)![1]!;
    return request(own.app).post(`${own.base}/consent`).type('form').send({ request: sealed, decision });
  }

  describe('are never answered silently', () => {
    it('the user is asked each time', async () => {
      for (let round = 0; round < 3; round++) {
        const shown = await page();
        expect([shown.status, shown.text.includes('Allow access to your account?')]).toEqual([200, true]);
        expect(answerOf(await decide(shown)).code).toBeTruthy();
      }
    });

    it('not even where the browser came by itself: a malicious server may have given its app our URL', async () => {
      // The app of an attacker's server opens our authorization endpoint with the id that it uses everywhere, and sends the code to the
      // attacker, who has given it the challenge. The user is signed in here, and has allowed the app before.
      await decide(await page());
      for (const site of ['none', 'cross-site', 'same-origin'])
        expect((await page({}, host, { 'Sec-Fetch-Site': site })).text).toContain('Allow access');
      const silent = await page({ prompt: 'none' });
      expect(answerOf(silent)).toMatchObject({ error: 'consent_required', state: 'xyz', iss: host.issuer });
    });

    it('a decision to deny is told to the client', async () => {
      expect(answerOf(await decide(await page(), 'deny'))).toMatchObject({ error: 'access_denied' });
    });
  });

  describe('get no error before the user is signed in (RFC 9700 §4.11.2)', () => {
    const FAULTS: Record<string, string>[] = [
      { scope: 'unknown' },
      { code_challenge: '' },
      { response_type: 'token' },
      { resource: 'https://elsewhere.example' },
      { prompt: 'none' },
      { response_mode: 'form_post', scope: 'unknown' },
      { response_mode: 'web_message', prompt: 'none' },
      { request: 'x.y.z' },
      { request_uri: 'https://evil.example/request' },
    ];

    it.each(FAULTS)('%j is shown to a stranger', async (fault) => {
      host.user = undefined;
      const shown = await page(fault);
      expect(shown.status).toBeGreaterThanOrEqual(400);
      expect(shown.headers.location).toBeUndefined();
      expect(shown.text).not.toContain(CALLBACK);
      expect(shown.text).toContain('<h1>');
    });

    it.each(FAULTS.slice(0, 5))('%j is told to the client of a user', async (fault) => {
      const { headers } = await page(fault);
      expect(headers.location).toMatch(/^https:\/\/app\.example\.com\/callback\?error=/);
    });

    it('a login that fails counts as a stranger', async () => {
      const own = openHost({
        adapter: host.adapter,
        authenticate: () => {
          throw new Error('the session store is down');
        },
      });
      const { status, headers } = await page({ scope: 'unknown' }, own);
      expect([status, headers.location]).toEqual([400, undefined]);
    });

    it('a client of the host gets its errors as before', async () => {
      host.user = undefined;
      const { headers } = await page({ client_id: 'web', scope: 'unknown' });
      expect(headers.location).toMatch(/error=invalid_scope/);
    });
  });

  describe('the consent page', () => {
    it('shows the name as a name, and where the code goes', async () => {
      const { text } = await page();
      expect(text).toContain('<p class="name"><bdi>Stranger</bdi></p>');
      expect(text).toContain('<dt>Continues to</dt><dd><strong>app.example.com</strong></dd>');
      expect(text).toContain('<dt>App from</dt><dd>unknown</dd>');
      expect(text).toContain('<title>Allow access? ');
    });

    it('a name cannot write our sentence', async () => {
      const name = 'Acme (verified). Click Allow to';
      clientId = await register(host, { client_name: name });
      const { text } = await page();
      expect(text).toContain(`<bdi>${name}</bdi></p>`);
      expect(text).not.toMatch(/Click Allow to<\/bdi> wants/);
    });

    it.each([
      ['markup', '<img src=x onerror=alert(1)>', '&lt;img src=x onerror=alert(1)&gt;'],
      ['a long name', 'a'.repeat(500), `<bdi>${'a'.repeat(60)}…</bdi>`],
      ['emoji', '😀'.repeat(80), `<bdi>${'😀'.repeat(60)}…</bdi>`],
    ])('%s is text', async (_what, name, shown) => {
      clientId = await register(host, { client_name: name });
      expect((await page()).text).toContain(shown);
    });

    it('warns about programs on the user’s own device', async () => {
      clientId = await register(host, { redirect_uris: ['http://localhost:1234/cb'] });
      const { text } = await page({ redirect_uri: 'http://localhost:51763/cb' });
      expect(text).toContain('This is a program on your own device.');
      expect(text).toContain('<strong>localhost:51763</strong>');
      expect((await page({ redirect_uri: CALLBACK })).status).toBe(400);
    });

    it('shows the links and the logo of a registration', async () => {
      clientId = await register(host, {
        logo_uri: 'https://stranger.example/logo.png',
        policy_uri: 'https://stranger.example/policy',
        tos_uri: 'https://stranger.example/tos',
      });
      const { text } = await page();
      for (const name of ['logo.png', 'policy', 'tos'])
        expect(text).toContain(`"https://stranger.example/${name}"`);
    });
  });

  describe('scope', () => {
    it('is what the host has described, by name', async () => {
      for (const scope of ['orders:write', 'orders:read orders:write openid'])
        expect((await page({ scope })).status).toBe(200);
      // Scope values of the host's own clients are not for strangers.
      expect(answerOf(await page({ scope: 'jobs:run' }))).toMatchObject({ error: 'invalid_scope' });
      const own = openHost({ selfAsserted: { scope: 'orders:read' } });
      clientId = await register(own);
      expect(answerOf(await page({ scope: 'orders:write' }, own))).toMatchObject({ error: 'invalid_scope' });
    });

    it('offline_access is accepted, and refused by nobody', async () => {
      expect((await page({ scope: 'orders:read offline_access' })).text).toContain(
        'Keep access while you are away',
      );
      clientId = await register(host, { grant_types: ['authorization_code'] });
      const shown = await page({ scope: 'orders:read offline_access' });
      expect([shown.status, shown.text.includes('Keep access')]).toEqual([200, false]);
    });

    it('that nobody knows is refused, or dropped where the host says so', async () => {
      expect(answerOf(await page({ scope: 'claudeai orders:read' }))).toMatchObject({
        error: 'invalid_scope',
      });
      const own = openHost({ unknownScopes: 'drop' });
      clientId = await register(own, { scope: 'claudeai' });
      const pair = pkce();
      const shown = await page({ scope: 'claudeai orders:read', code_challenge: pair.challenge }, own);
      const { code } = answerOf(await decide(shown, 'allow', own));
      const { body } = await request(own.app).post(`${own.base}/token`).type('form').send({
        grant_type: 'authorization_code',
        client_id: clientId,
        code,
        code_verifier: pair.verifier,
        redirect_uri: CALLBACK,
      });
      expect(body).toMatchObject({ scope: 'orders:read', refresh_token: expect.any(String) });
      // A value that is known, but not allowed here, is still an error.
      expect(answerOf(await page({ scope: 'jobs:run' }, own))).toMatchObject({ error: 'invalid_scope' });
    });
  });

  it('cannot be the host’s own app', async () => {
    await host.adapter.saveClient!({
      clientId: 'both',
      redirectUris: [CALLBACK],
      firstParty: true,
      selfAsserted: true,
    });
    clientId = 'both';
    expect((await page()).status).toBe(500);
  });
});
