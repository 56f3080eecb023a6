import express from 'express';
import * as oauth from 'oauth4webapi';

import { oidcProvider } from 'express-oauth-router';

import { createApp, PUBLISHABLE_KEY } from '../../examples/stack-style';
import { browser, type Browser } from '../support/browser';
import { listen, pkce } from '../support/host';
import { startProcess, type ServerProcess } from '../support/process';

const CALLBACK = 'https://example.com/callback';
type Body = Record<string, unknown>;

/** The requests of Stack Auth's two pages, with real values. */
describe('examples/stack-style.ts', () => {
  let origin: string;
  let base: string;
  let close: () => Promise<void>;
  let google: ServerProcess;

  beforeAll(async () => {
    const shell = express();
    ({ origin, close } = await listen(shell));
    base = `${origin}/api/v1/auth/oauth`;
    google = await startProcess('oidc-provider-process.ts', `${base}/callback/google`);
    const provider = oidcProvider({
      issuer: google.origin.replace('127.0.0.1', 'localhost'),
      clientId: 'our-server',
      clientSecret: 'upstream-secret',
      allowExtraScopes: ['calendar'],
    });
    shell.use(createApp(origin, provider));
  });
  afterAll(async () => {
    await google.kill();
    await close();
  });

  const HEADERS = { 'X-Stack-Project-Id': 'my-project', 'X-Stack-Publishable-Client-Key': PUBLISHABLE_KEY };

  function query(challenge: string, more: Record<string, string> = {}): URLSearchParams {
    return new URLSearchParams({
      client_id: 'my-project',
      client_secret: PUBLISHABLE_KEY,
      redirect_uri: CALLBACK,
      scope: 'openid email',
      state: 'the-state',
      grant_type: 'authorization_code',
      code_challenge: challenge,
      code_challenge_method: 'S256',
      response_type: 'code',
      ...more,
    });
  }

  /** What the person at the browser does at the provider; gives the answer to the app. */
  async function throughProvider(at: Browser, url: string, login: string): Promise<URL> {
    const form = await at.visit(url);
    if (form.url.startsWith(CALLBACK)) return new URL(form.url);
    const consent = await at.visit(form.url, { prompt: 'login', login, password: 'any' });
    const back = await at.visit(consent.url, { prompt: 'consent' });
    return new URL(back.url);
  }

  function post(body: Body, headers: Record<string, string> = HEADERS): Promise<Response> {
    return fetch(`${base}/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  }

  const pair = pkce();
  const newBrowser = (): Browser => browser(origin, ['https://example.com']);

  it('GET /authorize/google: the cURL of the page is redirected to the provider', async () => {
    const { challenge } = pkce();
    const response = await fetch(`${base}/authorize/google?${query(challenge).toString()}`, {
      headers: HEADERS,
      redirect: 'manual',
    });
    expect(response.status).toBe(302);
    expect(response.headers.get('location')).toMatch(google.origin.replace('127.0.0.1', 'localhost'));
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it('GET /authorize/google with all of the parameters, POST /token with a JSON body', async () => {
    const { challenge, verifier } = pkce();
    const parameters = query(challenge, {
      type: 'authenticate',
      token: '',
      error_redirect_uri: CALLBACK,
      after_callback_redirect_url: 'https://example.com/dashboard',
      provider_scope: '',
    });
    const answer = await throughProvider(
      newBrowser(),
      `${base}/authorize/google?${parameters.toString()}`,
      'alice',
    );
    expect(answer.searchParams.get('state')).toBe('the-state');

    const response = await post({
      grant_type: 'authorization_code',
      client_id: 'my-project',
      client_secret: PUBLISHABLE_KEY,
      code: answer.searchParams.get('code'),
      redirect_uri: CALLBACK,
      code_verifier: verifier,
    });
    const tokens = (await response.json()) as Body;
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(tokens).toMatchObject({
      access_token: expect.any(String),
      refresh_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 3600,
      is_new_user: true,
      newUser: true,
      after_callback_redirect_url: 'https://example.com/dashboard',
      afterCallbackRedirectUrl: 'https://example.com/dashboard',
    });

    const me = await fetch(`${origin}/api/v1/users/me`, {
      headers: { Authorization: `Bearer ${String(tokens.access_token)}` },
    });
    expect(await me.json()).toMatchObject({
      display_name: 'Alice Upstream',
      primary_email: 'alice@example.com',
    });

    const refreshed = await post({
      grant_type: 'refresh_token',
      client_id: 'my-project',
      client_secret: PUBLISHABLE_KEY,
      refresh_token: tokens.refresh_token,
    });
    expect(refreshed.status).toBe(200);
    const again = (await refreshed.json()) as Body;
    expect(again.refresh_token).not.toBe(tokens.refresh_token);
    expect(again).not.toHaveProperty('is_new_user');
  });

  it('GET /authorize/google with a value for each of the fourteen: a link, with more scope', async () => {
    const signedIn = await throughProvider(
      newBrowser(),
      `${base}/authorize/google?${query(pair.challenge).toString()}`,
      'alice',
    );
    const response = await post({
      grant_type: 'authorization_code',
      client_id: 'my-project',
      client_secret: PUBLISHABLE_KEY,
      code: signedIn.searchParams.get('code'),
      redirect_uri: CALLBACK,
      code_verifier: pair.verifier,
    });
    const { access_token: token } = (await response.json()) as { access_token: string };
    const parameters = query(pkce().challenge, {
      type: 'link',
      token,
      provider_scope: 'calendar',
      error_redirect_uri: CALLBACK,
      after_callback_redirect_url: 'https://example.com/dashboard',
    });
    expect([...parameters.keys()]).toHaveLength(14);
    const left = await fetch(`${base}/authorize/google?${parameters.toString()}`, {
      headers: HEADERS,
      redirect: 'manual',
    });
    expect(left.status).toBe(302);
    const asked = new URL(left.headers.get('location')!);
    expect(asked.origin).toBe(google.origin.replace('127.0.0.1', 'localhost'));
    expect(asked.searchParams.get('scope')).toBe('openid profile email calendar');
  });

  it('is driven by oauth4webapi, which the vendor’s own SDK is made of', async () => {
    const insecure = { [oauth.allowInsecureRequests]: true };
    const issuer = new URL(base);
    const server = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
    );
    const client = { client_id: 'my-project' };
    const { challenge, verifier } = pkce();
    const url = `${base}/authorize/google?${query(challenge).toString()}`;
    const answer = await throughProvider(newBrowser(), url, 'alice');
    const parameters = oauth.validateAuthResponse(server, client, answer, 'the-state');
    const authentication = oauth.ClientSecretPost(PUBLISHABLE_KEY);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      authentication,
      parameters,
      CALLBACK,
      verifier,
      insecure,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response);
    // Known from before, if that was first.
    expect(tokens.token_type).toBe('bearer');
    expect(oauth.getValidatedIdTokenClaims(tokens)).toMatchObject({ sub: expect.stringMatching(/^user-/) });
    const refreshed = await oauth.processRefreshTokenResponse(
      server,
      client,
      await oauth.refreshTokenGrantRequest(server, client, authentication, tokens.refresh_token!, insecure),
    );
    expect(refreshed.refresh_token).not.toBe(tokens.refresh_token);
  });

  it('adds the vendor’s code to the errors of RFC 6749', async () => {
    const response = await post({ grant_type: 'authorization_code', client_id: 'my-project' });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: 'invalid_request',
      error_description: 'code is missing',
      code: 'INVALID_REQUEST',
      details: {},
    });
  });

  it('refuses requests without a publishable key, or with a wrong one', async () => {
    const body = { grant_type: 'refresh_token', client_id: 'my-project', refresh_token: 'x' };
    for (const headers of [
      {},
      { 'X-Stack-Publishable-Client-Key': 'wrong' },
      { 'X-Stack-Project-Id': 'my-project' },
    ]) {
      const response = await post(body, headers as Record<string, string>);
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({
        error: 'invalid_client',
        error_description: 'Valid publishable key required',
      });
    }
  });
});
