import request from 'supertest';

import { OAuthError, type ClientOptions } from 'express-oauth-router';

import {
  authorizationForm,
  CLIENTS,
  claimsOf,
  makeHost,
  pkce,
  post,
  VARIANTS,
  type Form,
  type Host,
  type Pkce,
} from '../support/host';

const URN = 'urn:ietf:wg:oauth:2.0:oob';
const AUTO = `${URN}:auto`;
const APP: ClientOptions = { clientId: 'app', redirectUris: [AUTO], outOfBand: 'json', scope: 'profile' };
const PAGE: ClientOptions = {
  clientId: 'page',
  clientName: 'Tools & <b>More</b>',
  redirectUris: [URN, AUTO],
  outOfBand: 'page',
  scope: 'profile',
  firstParty: true,
};

describe.each(VARIANTS)('codes without a redirect ($store, $mount)', (variant) => {
  let host: Host;
  let made: { grantId: string; id: string }[];
  beforeEach(() => {
    made = [];
    host = makeHost(variant, {
      clients: [APP, PAGE, { ...PAGE, clientId: 'tool', clientSecret: 'tool-secret' }, CLIENTS.web],
      // As careless as can be: whoever has the cookie is Alice.
      authenticate: (req) => (req.headers.cookie?.includes('session=alice') ? { id: 'alice' } : undefined),
      outOfBand: {
        anonymousSubject: (_req, { grantId }) => {
          const id = `guest-${made.length + 1}`;
          made.push({ grantId, id });
          return { id };
        },
        headerSubject: (req) => {
          const user = req.get('x-user');
          if (user === 'wrong') throw new OAuthError('invalid_token', 'x-user is not valid');
          return user === undefined ? undefined : { id: user };
        },
      },
    });
  });

  function at(client: string, pair: Pkce, more: Form = {}): string {
    const form = authorizationForm('web', pair, {
      client_id: client,
      redirect_uri: client === 'app' ? AUTO : URN,
      ...more,
    });
    return `${host.base}/authorize?${new URLSearchParams(form).toString()}`;
  }

  const redeem = (client: string, code: string, { verifier }: Pkce, more: Form = {}): request.Test =>
    post(host, '/token', undefined, {
      grant_type: 'authorization_code',
      client_id: client,
      code,
      code_verifier: verifier,
      redirect_uri: client === 'app' ? AUTO : URN,
      ...more,
    });

  describe('as JSON, for apps without a browser', () => {
    it('the subject is made when the code is redeemed, and found among its grants', async () => {
      const pair = pkce();
      const { status, body, headers } = await request(host.app).get(at('app', pair));
      expect([status, body]).toEqual([
        200,
        { code: expect.any(String) as string, state: 'xyz', iss: host.issuer },
      ]);
      expect(headers['cache-control']).toBe('no-store');
      expect(headers['access-control-allow-origin']).toBeUndefined();
      expect(made).toHaveLength(0);
      const tokens = await redeem('app', (body as { code: string }).code, pair);
      expect(claimsOf((tokens.body as { access_token: string }).access_token).sub).toBe('guest-1');
      expect(made).toHaveLength(1);
      const [grant] = await host.oauth.listGrants('guest-1');
      expect(grant).toMatchObject({ grantId: made[0]!.grantId, clientId: 'app' });
    });

    it('a page that the user visits gets no code of theirs', async () => {
      const pair = pkce();
      const response = await request(host.app)
        .get(at('app', pair))
        .set('Cookie', 'session=alice')
        .set('Origin', 'https://evil.example');
      expect(response.headers['access-control-allow-origin']).toBeUndefined();
      const preflight = await request(host.app)
        .options(at('app', pair))
        .set('Origin', 'https://evil.example')
        .set('Access-Control-Request-Method', 'GET');
      expect(preflight.headers['access-control-allow-origin']).toBeUndefined();
      const tokens = await redeem('app', (response.body as { code: string }).code, pair);
      expect(claimsOf((tokens.body as { access_token: string }).access_token).sub).toBe('guest-1');
    });

    it('a header of the host’s says whose code it is; a wrong one is 401', async () => {
      const pair = pkce();
      const { body } = await request(host.app).get(at('app', pair)).set('X-User', 'carol');
      const tokens = await redeem('app', (body as { code: string }).code, pair);
      expect(claimsOf((tokens.body as { access_token: string }).access_token).sub).toBe('carol');
      const wrong = await request(host.app).get(at('app', pair)).set('X-User', 'wrong');
      expect([wrong.status, wrong.body]).toEqual([
        401,
        { error: 'invalid_token', error_description: 'x-user is not valid' },
      ]);
      expect(made).toHaveLength(0);
    });

    it.each([
      ['no state', { state: '' }, 'invalid_request'],
      ['no challenge', { code_challenge: '' }, 'invalid_request'],
      ['a foreign scope', { scope: 'admin' }, 'invalid_scope'],
      ['another response_type', { response_type: 'token' }, 'unsupported_response_type'],
      ['a repeated parameter', { 'scope&scope': 'profile' }, 'invalid_request'],
      ['another redirect_uri', { redirect_uri: 'https://app.example.com/callback' }, 'invalid_request'],
      ['the other URN', { redirect_uri: URN }, 'invalid_request'],
    ])(
      'errors are JSON and never a redirect, whatever the request accepts: %s',
      async (_what, more, error) => {
        const url = at('app', pkce(), more).replace('scope%26scope', 'scope=x&scope');
        const response = await request(host.app).get(url).set('Accept', '*/*');
        expect([response.status, response.headers.location]).toEqual([400, undefined]);
        expect(response.body).toMatchObject({ error });
      },
    );

    it('of many who redeem one code at once, one wins, and the code is burnt by a wrong verifier', async () => {
      const pair = pkce();
      const code = ((await request(host.app).get(at('app', pair))).body as { code: string }).code;
      const answers = await Promise.all(Array.from({ length: 8 }, () => redeem('app', code, pair)));
      const won = answers.filter(({ status }) => status === 200);
      expect(won).toHaveLength(1);
      const { sub } = claimsOf((won[0]!.body as { access_token: string }).access_token);
      expect(await host.oauth.listGrants(String(sub))).toHaveLength(1);
      // Another attempt at the same code has the same id to find its user by.
      expect(new Set(made.map(({ grantId }) => grantId)).size).toBe(1);

      const second = ((await request(host.app).get(at('app', pair))).body as { code: string }).code;
      const before = made.length;
      expect((await redeem('app', second, pkce())).body).toMatchObject({ error: 'invalid_grant' });
      expect((await redeem('app', second, pair)).body).toMatchObject({ error: 'invalid_grant' });
      expect(made).toHaveLength(before);
    });

    it('a code lives for a minute at most, and needs its redirect_uri', async () => {
      const long = makeHost(variant, {
        clients: [APP],
        lifetimes: { authorizationCode: 600 },
        outOfBand: { anonymousSubject: () => ({ id: 'guest' }) },
      });
      const get = async (pair: Pkce): Promise<string> =>
        ((await request(long.app).get(at('app', pair))).body as { code: string }).code;
      const pair = pkce();
      const [late, bare] = [await get(pair), await get(pair)];
      host = long;
      expect((await redeem('app', bare, pair, { redirect_uri: '' })).body).toMatchObject({
        error: 'invalid_grant',
      });
      long.pass(60);
      expect((await redeem('app', late, pair)).body).toMatchObject({ error: 'invalid_grant' });
    });

    it('a hook that fails spends no code', async () => {
      let fails = true;
      host = makeHost(variant, {
        clients: [APP],
        outOfBand: {
          anonymousSubject: () => {
            if (fails) throw new Error('the database is down');
            return { id: 'guest' };
          },
        },
      });
      const pair = pkce();
      const code = ((await request(host.app).get(at('app', pair))).body as { code: string }).code;
      expect((await redeem('app', code, pair)).body).toMatchObject({ error: 'server_error' });
      fails = false;
      expect((await redeem('app', code, pair)).status).toBe(200);
    });

    it('a pushed request gives one code', async () => {
      const pair = pkce();
      const form = authorizationForm('web', pair, { client_id: 'app', redirect_uri: AUTO });
      const { body } = await post(host, '/par', undefined, form);
      const query = new URLSearchParams({ client_id: 'app', request_uri: (body as Form).request_uri! });
      const get = (): request.Test =>
        request(host.app).get(`${host.base}/authorize?${query.toString()}`).set('Accept', 'application/json');
      expect((await get()).body).toHaveProperty('code');
      expect((await get()).body).toMatchObject({ error: 'invalid_request_uri' });
    });

    it('what a request says of its user holds, and nobody is asked anything', async () => {
      const ask = async (more: Form, user?: string): Promise<unknown> => {
        const test = request(host.app).get(at('app', pkce(), more));
        const { body } = await (user === undefined ? test : test.set('X-User', user));
        return (body as Form).error ?? 'code';
      };
      const wanted = JSON.stringify({ id_token: { sub: { value: 'carol' } } });
      expect(await ask({ claims: wanted }, 'carol')).toBe('code');
      expect(await ask({ claims: wanted }, 'bob')).toBe('login_required');
      expect(await ask({ claims: wanted })).toBe('login_required');
      for (const more of [{ prompt: 'login' }, { max_age: '1' }]) {
        expect(await ask(more)).toBe('login_required');
        expect(await ask(more, 'carol')).toBe('login_required');
      }
      expect(await ask({ prompt: 'consent' }, 'carol')).toBe('consent_required');
      expect(await ask({ prompt: 'none' }, 'carol')).toBe('code');
    });

    it('nobody is made for a request that is refused', async () => {
      const pair = pkce();
      const code = ((await request(host.app).get(at('app', pair))).body as { code: string }).code;
      expect((await redeem('app', code, pair, { scope: 'admin' })).body).toMatchObject({
        error: 'invalid_scope',
      });
      expect((await redeem('app', code, pair, { resource: 'https://x.example' })).body).toMatchObject({
        error: 'invalid_target',
      });
      expect(made).toHaveLength(0);
      expect((await redeem('app', code, pair)).status).toBe(200);
    });

    it('without anybody to make, who names nobody is refused', async () => {
      host = makeHost(variant, { clients: [APP], outOfBand: { headerSubject: () => undefined } });
      const response = await request(host.app).get(at('app', pkce()));
      expect([response.status, response.body]).toMatchObject([401, { error: 'invalid_token' }]);
    });
  });

  it('a client of the store is held to the same', async () => {
    for (const more of [{ outOfBand: undefined }, { requirePkce: false, tokenEndpointAuthMethod: 'none' }]) {
      await host.adapter.saveClient!({ ...APP, clientId: 'stored', ...more } as never);
      const response = await request(host.app)
        .get(at('app', pkce(), { client_id: 'stored' }))
        .set('Accept', 'application/json');
      expect([response.status, response.body]).toMatchObject([500, { error: 'server_error' }]);
    }
    const unknown = await redeem('nobody', 'x', pkce());
    expect([unknown.status, unknown.body]).toMatchObject([401, { error: 'invalid_client' }]);
  });

  describe('on a page, to be copied', () => {
    const browse = (url: string): request.Test =>
      request(host.app).get(url).set('Cookie', 'session=alice').set('Accept', 'text/html');

    async function allowed(pair: Pkce, more: Form = {}): Promise<request.Response> {
      const asked = await browse(at('page', pair, more));
      // Consent is asked for, first-party or not.
      expect(asked.text).toContain('name="decision"');
      return request(host.app)
        .post(`${host.base}/consent`)
        .set('Cookie', 'session=alice')
        .type('form')
        .send({ request: /name="request" value="([^"]+)"/.exec(asked.text)![1]!, decision: 'allow' });
    }

    it('shows the code, and nothing of it in any URL', async () => {
      const pair = pkce();
      const { status, text, headers } = await allowed(pair);
      expect(status).toBe(200);
      expect(headers.location).toBeUndefined();
      expect(headers).toMatchObject({
        'referrer-policy': 'no-referrer',
        'x-frame-options': 'DENY',
        'cache-control': 'no-store',
      });
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
      const code = /<code id="code">([\w-]+)<\/code>/.exec(text)![1]!;
      expect(text).toContain('Do not share it');
      expect(text).toContain('Tools &amp; &lt;b&gt;More&lt;/b&gt;');
      expect(/<title>.*<\/title>/.exec(text)![0]).not.toContain(code);
      expect([...text.matchAll(/(?:href|src|action)="([^"]*)"/g)].join()).not.toContain(code);
      const tokens = await redeem('page', code, pair);
      expect(claimsOf((tokens.body as { access_token: string }).access_token).sub).toBe('alice');
    });

    it('…:auto has it in the title too', async () => {
      const { text } = await allowed(pkce(), { redirect_uri: AUTO });
      const code = /<code id="code">([\w-]+)<\/code>/.exec(text)![1]!;
      expect(/<title>(.*)<\/title>/.exec(text)![1]).toBe(`Success code=${code}&amp;state=xyz`);
    });

    it('is asked about each time, sends who is not signed in to the login, and shows errors as a page', async () => {
      await allowed(pkce());
      expect((await browse(at('page', pkce()))).text).toContain('name="decision"');
      // Also of a client that has credentials, and is the host's own.
      await allowed(pkce(), { client_id: 'tool' });
      expect((await browse(at('page', pkce(), { client_id: 'tool' }))).text).toContain('name="decision"');
      const nobody = await request(host.app).get(at('page', pkce()));
      expect(nobody.headers.location).toMatch(/^\/login\?/);
      const wrong = await browse(at('page', pkce(), { scope: 'admin' }));
      expect([wrong.status, wrong.type, wrong.headers.location]).toEqual([400, 'text/html', undefined]);
      const silent = await browse(at('page', pkce(), { prompt: 'none' }));
      expect([silent.status, silent.headers.location]).toEqual([400, undefined]);
    });
  });
});

describe('the options of out-of-band clients', () => {
  const fault = (client: object, more: object = {}): string => {
    try {
      makeHost(VARIANTS[0]!, {
        clients: [{ ...APP, ...client }],
        outOfBand: { anonymousSubject: () => ({ id: 'x' }) },
        ...more,
      });
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };

  it('must go together', () => {
    expect(fault({})).toBe('');
    expect(fault({ outOfBand: undefined })).toContain('needs outOfBand');
    expect(fault({ redirectUris: ['https://app.example.com/cb'] })).toContain('needs one of urn:');
    expect(fault({ redirectUris: ['urn:ietf:wg:oauth:2.0:oob:other'] })).toContain(
      'has the forbidden scheme urn:',
    );
    expect(fault({ postLogoutRedirectUris: [AUTO] })).toContain('has the forbidden scheme urn:');
    expect(fault({ clientSecret: 'x', requirePkce: false })).toContain('must use PKCE');
    expect(fault({}, { outOfBand: {} })).toContain(
      '"outOfBand.anonymousSubject" or "outOfBand.headerSubject"',
    );
  });
});
