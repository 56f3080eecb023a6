import { buildSync } from 'esbuild';
import express from 'express';
import type { Browser, Page } from 'playwright-core';

import { oidcProvider } from 'express-oauth-router';

import { createApp, PUBLISHABLE_KEY, SDK_PROJECT_ID } from '../../examples/stack-style';
import { pkce } from '../support/host';
import { startProcess, type ServerProcess } from '../support/process';
import { launchChromium } from './chromium';
import { serve } from './serve';

/** The core of Stack Auth's SDK, as a browser gets it. */
function sdk(): string {
  const { outputFiles } = buildSync({
    stdin: {
      contents:
        "import { HexclaveClientInterface } from '@stackframe/stack-shared/dist/interface/client-interface';" +
        'window.ClientInterface = HexclaveClientInterface;',
      resolveDir: __dirname,
    },
    bundle: true,
    format: 'iife',
    platform: 'browser',
    write: false,
    logLevel: 'silent',
    define: { 'process.env.NODE_ENV': '"production"', 'process.env': '{}', global: 'globalThis' },
    external: ['node:*', 'crypto', 'fs', 'path', 'async_hooks'],
  });
  return outputFiles[0]!.text;
}

describe('Stack Auth’s SDK in a browser, against examples/stack-style.ts', () => {
  const closers: (() => unknown)[] = [];
  let browser: Browser;
  let tab: Page;
  let google: ServerProcess | undefined;
  let host: string;
  let app: string;

  beforeAll(async () => {
    browser = await launchChromium();
    const script = sdk();
    const page = express();
    page.get('/sdk.js', (_req, res) => void res.type('js').send(script));
    page.use((_req, res) => void res.send('<!doctype html><script src="/sdk.js"></script><body></body>'));
    app = `http://app.example.test:${await serve(page, closers)}`;
    const shell = express();
    host = `http://localhost:${await serve(shell, closers)}`;
    google = await startProcess('oidc-provider-process.ts', `${host}/api/v1/auth/oauth/callback/google`);
    const provider = oidcProvider({
      issuer: google.origin.replace('127.0.0.1', 'localhost'),
      clientId: 'our-server',
      clientSecret: 'upstream-secret',
    });
    shell.use(createApp(host, provider, { callback: `${app}/callback`, error: `${app}/error` }));
  });
  afterAll(async () => {
    await google?.kill();
    await browser.close();
    closers.forEach((close) => close());
  });
  beforeEach(async () => {
    tab = await (await browser.newContext()).newPage();
  });
  afterEach(() => tab.context().close());

  const inPage = <T>(code: string): Promise<T> =>
    tab.evaluate<T>(`(async () => {
      const client = new ClientInterface({
        clientVersion: 'test', getBaseUrl: () => '${host}', getApiUrls: () => ['${host}'], extraRequestHeaders: {},
        projectId: '${SDK_PROJECT_ID}', publishableClientKey: '${PUBLISHABLE_KEY}', prepareRequest: async () => {},
      });
      ${code}
    })()`);
  const authorize = (challenge: string, type = 'authenticate'): Promise<{ status: string; data: string }> =>
    inPage(`return client.authorizeOAuth({
      provider: 'google', redirectUrl: '${app}/callback', errorRedirectUrl: '${app}/error', state: 'the-state',
      afterCallbackRedirectUrl: '${app}/error', codeChallenge: '${challenge}', type: '${type}',
      session: client.createSession({ refreshToken: null }),
    })`);

  it('signs in, and gets new access tokens by a refresh token that it never replaces', async () => {
    const { challenge, verifier } = pkce();
    await tab.goto(app);
    const { data: location } = await authorize(challenge);
    // A URL of the server, which binds the sign-in to this browser when it goes there.
    expect(location.startsWith(`${host}/api/v1/auth/oauth/authorize?`)).toBe(true);
    await tab.goto(location);
    await tab.fill('[name=login]', 'alice');
    await tab.fill('[name=password]', 'any');
    await tab.click('[type=submit]');
    await tab.click('[type=submit]');
    await tab.waitForURL(`${app}/callback?*`);

    const tokens = await inPage<{ newUser: boolean; accessToken: string; refreshToken: string }>(
      `return client.callOAuthCallback({
        oauthParams: new URLSearchParams(location.search), redirectUri: '${app}/callback',
        codeVerifier: '${verifier}', state: 'the-state',
      })`,
    );
    expect(tokens).toMatchObject({ newUser: true, afterCallbackRedirectUrl: `${app}/error` });
    const renewed = await inPage<string[]>(
      `const all = [];
      for (let times = 0; times < 3; times++)
        all.push((await client.fetchNewAccessToken({ token: '${tokens.refreshToken}' })).token);
      return all;`,
    );
    expect(new Set([tokens.accessToken, ...renewed]).size).toBe(4);
    const me = await fetch(`${host}/api/v1/users/me`, {
      headers: { Authorization: `Bearer ${renewed[2]!}` },
    });
    expect(await me.json()).toMatchObject({ primary_email: 'alice@example.com' });
  });

  it('no code goes to a page for errors, and a page that is not registered is refused', async () => {
    await tab.goto(app);
    const url = new URL(`${host}/api/v1/auth/oauth/authorize/google`);
    const query = {
      client_id: SDK_PROJECT_ID,
      client_secret: PUBLISHABLE_KEY,
      redirect_uri: `${app}/error`,
      response_type: 'code',
      scope: 'legacy',
      state: 's',
      code_challenge: pkce().challenge,
      code_challenge_method: 'S256',
      stack_response_mode: 'json',
    };
    const wrongs: Record<string, string>[] = [
      {},
      { redirect_uri: `${app}/callback`, error_redirect_url: 'https://evil.example/' },
    ];
    for (const wrong of wrongs) {
      url.search = new URLSearchParams({ ...query, ...wrong }).toString();
      expect((await fetch(url, { redirect: 'manual' })).status).toBe(400);
    }
  });
});
