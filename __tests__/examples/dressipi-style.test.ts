import express from 'express';
import { sign, verify } from 'jsonwebtoken';

import { API_KEY, createApp, SHARED_SECRET } from '../../examples/dressipi-style';
import { claimsOf, listen, pkce } from '../support/host';

const URN = 'urn:ietf:wg:oauth:2.0:oob:auto';
type Body = Record<string, string>;

/** The requests of Dressipi's page, with real values. */
describe('examples/dressipi-style.ts', () => {
  let origin: string;
  let close: () => Promise<void>;

  beforeAll(async () => {
    const shell = express();
    ({ origin, close } = await listen(shell));
    shell.use(createApp(origin));
  });
  afterAll(() => close());

  function authorize(more: Body, headers: Record<string, string> = {}): Promise<Response> {
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: 'shop-app',
      redirect_uri: URN,
      state: 'the-state',
      code_challenge_method: 'S256',
      ...more,
    });
    return fetch(`${origin}/oauth/authorize?${query.toString()}`, {
      headers: { 'x-api-key': API_KEY, ...headers },
      redirect: 'manual',
    });
  }

  function post(body: Body, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${origin}/oauth/token`, {
      method: 'POST',
      headers: { 'x-api-key': API_KEY, ...headers },
      body: new URLSearchParams({ client_id: 'shop-app', redirect_uri: URN, ...body }),
    });
  }

  async function tokens(headers: Record<string, string> = {}): Promise<Body> {
    const { challenge, verifier } = pkce();
    const answer = await authorize({ code_challenge: challenge }, headers);
    const { code = '' } = (await answer.json()) as Body;
    const response = await post({ grant_type: 'authorization_code', code, code_verifier: verifier }, headers);
    expect(response.status).toBe(200);
    return (await response.json()) as Body;
  }

  it('gives a code as JSON, and a JWT and a refresh token for it, for a new profile', async () => {
    // The vendor's own vector.
    const challenge = 'p7CN1Zi4o5ARn1mYNvNFvj2r5cKkr2k6y7a573eHJXQ';
    const verifier = '1tBnEmtSImyCykPHxHYBdzpSFhKEj0Q1LuiHd4fdDlY';
    const answer = await authorize({ code_challenge: challenge });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch('application/json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    const { code, ...rest } = (await answer.json()) as Body;
    expect(rest).toEqual({ state: 'the-state', iss: `${origin}/oauth` });

    const response = await post({ grant_type: 'authorization_code', code: code!, code_verifier: verifier });
    expect(response.status).toBe(200);
    const body = (await response.json()) as Body;
    expect(body).toMatchObject({
      access_token: expect.any(String),
      refresh_token: expect.any(String),
      expires_in: 86_400,
      token_type: 'Bearer',
    });
    const claims = verify(body.access_token!, SHARED_SECRET, { algorithms: ['HS256'] });
    expect(claims).toMatchObject({ sub: expect.stringMatching(/^profile-/), iss: `${origin}/oauth` });

    const outfits = await fetch(`${origin}/outfits`, {
      headers: { Authorization: `Bearer ${body.access_token!}` },
    });
    expect(await outfits.json()).toEqual({ outfits: [] });

    const refreshed = await post({ grant_type: 'refresh_token', refresh_token: body.refresh_token! });
    const again = (await refreshed.json()) as Body;
    expect(refreshed.status).toBe(200);
    expect(claimsOf(again.access_token!).sub).toBe(claimsOf(body.access_token!).sub);
    expect(again.refresh_token).not.toBe(body.refresh_token);
  });

  it('x-dressipi-jwt binds a code to the profile that is there', async () => {
    const first = await tokens();
    const second = await tokens({ 'x-dressipi-jwt': first.access_token! });
    expect(claimsOf(second.access_token!).sub).toBe(claimsOf(first.access_token!).sub);
    expect(claimsOf((await tokens()).access_token!).sub).not.toBe(claimsOf(first.access_token!).sub);

    const forged = await authorize({ code_challenge: pkce().challenge }, { 'x-dressipi-jwt': 'forged' });
    expect(forged.status).toBe(401);
    expect(await forged.json()).toMatchObject({ error: 'invalid_token' });
  });

  it('x-dressipi-jwt must be of this server, and has no meaning at /token', async () => {
    const { access_token: token } = await tokens();
    const claims = claimsOf(token!);
    const other = sign({ ...claims, iss: 'https://other.example' }, SHARED_SECRET);
    const late = sign({ ...claims, exp: 1 }, SHARED_SECRET);
    for (const jwt of [other, late]) {
      const response = await authorize({ code_challenge: pkce().challenge }, { 'x-dressipi-jwt': jwt });
      expect([response.status, ((await response.json()) as Body).error]).toEqual([401, 'invalid_token']);
    }
    const { challenge, verifier } = pkce();
    const { code } = (await (await authorize({ code_challenge: challenge })).json()) as Body;
    const redeemed = await post(
      { grant_type: 'authorization_code', code: code!, code_verifier: verifier },
      { 'x-dressipi-jwt': 'forged' },
    );
    expect(redeemed.status).toBe(200);
  });

  it('a token that was revoked names nobody: it must not become a new year of refresh tokens', async () => {
    const { access_token: token } = await tokens();
    const ask = async (): Promise<number> =>
      (await authorize({ code_challenge: pkce().challenge }, { 'x-dressipi-jwt': token! })).status;
    expect(await ask()).toBe(200);
    const revoked = await fetch(`${origin}/oauth/revoke`, {
      method: 'POST',
      headers: { 'x-api-key': API_KEY },
      body: new URLSearchParams({ token: token!, client_id: 'shop-app' }),
    });
    expect(revoked.status).toBe(200);
    expect(await ask()).toBe(401);
  });

  it('refuses without the api key, or with a wrong one, ahead of everything', async () => {
    for (const key of ['', 'wrong', `${API_KEY}x`]) {
      for (const response of [
        await authorize({ code_challenge: pkce().challenge }, { 'x-api-key': key }),
        await post({ grant_type: 'refresh_token', refresh_token: 'x' }, { 'x-api-key': key }),
        await fetch(`${origin}/oauth/jwks`, { headers: { 'x-api-key': key } }),
      ]) {
        expect(response.status).toBe(401);
        expect(await response.json()).toMatchObject({ error: 'invalid_client' });
      }
    }
  });

  it('does not publish the secret', async () => {
    const response = await fetch(`${origin}/oauth/jwks`, { headers: { 'x-api-key': API_KEY } });
    expect(await response.json()).toEqual({ keys: [] });
  });

  it.each([
    ['no challenge', { code_challenge: '' }, 'invalid_request'],
    ['plain', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['another redirect_uri', { redirect_uri: 'https://evil.example/cb' }, 'invalid_request'],
    ['another URN', { redirect_uri: 'urn:ietf:wg:oauth:2.0:oob' }, 'invalid_request'],
    ['another response_type', { response_type: 'token' }, 'unsupported_response_type'],
    ['no state', { state: '' }, 'invalid_request'],
    ['an unknown client', { client_id: 'nobody' }, 'invalid_request'],
  ])('400 as JSON, never a redirect: %s', async (_what, more, error) => {
    const response = await authorize({ code_challenge: pkce().challenge, ...more });
    expect(response.status).toBe(400);
    expect(response.headers.get('location')).toBeNull();
    expect(await response.json()).toMatchObject({ error, error_description: expect.any(String) });
  });

  it.each([
    ['a wrong verifier', { code_verifier: 'x'.repeat(43) }, 'invalid_grant'],
    ['no redirect_uri', { redirect_uri: '' }, 'invalid_grant'],
  ])('a code is burnt by %s', async (_what, more, error) => {
    const { challenge, verifier } = pkce();
    const { code } = (await (await authorize({ code_challenge: challenge })).json()) as Body;
    const right = { grant_type: 'authorization_code', code: code!, code_verifier: verifier };
    const wrong = await post({ ...right, ...more });
    expect(wrong.status).toBe(400);
    expect(await wrong.json()).toMatchObject({ error });
    expect((await post(right)).status).toBe(400);
  });

  it('takes nothing from the query of /token', async () => {
    const response = await fetch(`${origin}/oauth/token?grant_type=refresh_token&client_id=shop-app`, {
      method: 'POST',
      headers: { 'x-api-key': API_KEY },
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: 'invalid_request',
      error_description: 'grant_type is missing',
    });
  });
});
