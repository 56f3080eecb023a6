import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';

import cors from 'cors';
import express, { type Express } from 'express';
import session from 'express-session';
import Redis from 'ioredis';
import type { Browser, Page } from 'playwright-core';

import { createOAuthRouter, redisAdapter, type ClientOptions } from 'express-oauth-router';

import { keyPair } from '../support/keys';
import { launchChromium } from './chromium';
import { tlsServer } from './tls-server';

declare module 'express-session' {
  interface SessionData {
    member: { id: string; authTime: number };
  }
}

const LIBRARY = path.join(
  path.dirname(require.resolve('@auth0/auth0-spa-js/package.json')),
  'dist/auth0-spa-js.production.js',
);
const ORDERS = 'https://orders.example.com';

/** The vendor's SDK as it is, with nothing but its own options. */
const page = (
  domain: string,
  options: object,
): string => `<!doctype html><meta charset="utf-8"><title>App</title>
<script src="/sdk.js"></script><script>
const done = (text) => { document.body.dataset.state = text; };
const options = ${JSON.stringify(options)};
const kind = new URLSearchParams(location.search).get('kind') ?? localStorage.getItem('kind') ?? 'frame';
localStorage.setItem('kind', kind);
addEventListener('load', async () => {
  try {
    window.client = await auth0.createAuth0Client({
      domain: '${domain}', clientId: kind, cacheLocation: 'localstorage', ...options[kind],
      authorizationParams: { redirect_uri: location.origin, audience: '${ORDERS}', scope: 'openid profile email orders:read' },
    });
    if (location.search.includes('code=')) { await client.handleRedirectCallback(); done('signed in'); }
    else done(location.search.includes('error=') ? location.search : 'ready');
  } catch (error) { done('failed: ' + error.message); }
});
</script><body></body>`;

describe('auth0-spa-js in a browser', () => {
  const redis = new Redis(process.env.REDIS_URL!);
  const closers: (() => Promise<unknown>)[] = [() => redis.quit()];
  let browser: Browser;
  let tab: Page;
  let app: string;
  let api: string;

  beforeAll(async () => {
    const serve = async (name: string): Promise<{ domain: string; express: Express }> => {
      const server = await tlsServer();
      closers.push(() => server.close());
      return { domain: `${name}.example.test:${server.port}`, express: server.express };
    };
    const [host, spa] = [await serve('id'), await serve('app')];
    app = `https://${spa.domain}`;
    api = `https://${host.domain}/api`;
    mountHost(host.express, `https://${host.domain}/`);
    spa.express.get('/sdk.js', (_req, res) => void res.type('js').send(readFileSync(LIBRARY)));
    const options = {
      frame: {},
      refresh: { useRefreshTokens: true },
      dpop: { useRefreshTokens: true, useDpop: true },
    };
    spa.express.use((_req, res) => void res.send(page(host.domain, options)));
    browser = await launchChromium();
    closers.unshift(() => browser.close());
  });
  afterAll(async () => {
    for (const close of closers) await close();
  });
  beforeEach(async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    tab = await context.newPage();
  });
  afterEach(() => tab.context().close());

  /** A host at the paths that the SDK expects. */
  function mountHost(shell: Express, issuer: string): void {
    const client = (clientId: string, more: Partial<ClientOptions> = {}): ClientOptions => ({
      clientId,
      redirectUris: [app],
      postLogoutRedirectUris: [app],
      scope: 'openid profile email offline_access orders:read',
      firstParty: true,
      ...more,
    });
    const oauth = createOAuthRouter({
      issuer,
      adapter: redisAdapter(redis, { prefix: `browser:${randomUUID()}:` }),
      secrets: ['a secret of the browser tests that is long enough'],
      signingKeys: [keyPair().privateKey, { key: keyPair('RS256').privateKey, alg: 'RS256' }],
      paths: { token: '/oauth/token', logout: '/v2/logout', jwks: '/.well-known/jwks.json' },
      resources: [{ identifier: ORDERS, scopes: ['orders:read'] }],
      refreshTokens: { issue: 'offline_access' },
      clients: [client('frame'), client('refresh'), client('dpop', { dpopBoundAccessTokens: true })],
      authenticate: ({ sessionID, session: { member } }) => member && { ...member, sid: sessionID },
      loginUrl: '/login',
      endSession: (req) => new Promise<void>((resolve) => req.session.destroy(() => resolve())),
      userClaims: ({ userId }) => ({ name: `${userId} of the vendor`, email: `${userId}@example.com` }),
    });
    shell.use(
      session({ secret: randomUUID(), resave: false, saveUninitialized: false, cookie: { secure: true } }),
    );
    shell.use('/api', cors({ exposedHeaders: ['DPoP-Nonce', 'WWW-Authenticate'] }));
    shell.get('/api', oauth.requireToken({ audience: ORDERS, scope: 'orders:read' }), (req, res) => {
      res.json({ of: req.oauth.userId });
    });
    shell.get('/login', (_req, res) => {
      res.send('<form method="post"><input name="name"><button>Sign in</button></form>');
    });
    shell.post('/login', express.urlencoded(), (req, res) => {
      const returnTo = req.query.return_to;
      const { name } = req.body as { name: string };
      req.session.member = { id: name, authTime: Math.floor(Date.now() / 1000) };
      res.redirect(oauth.isResumeUrl(returnTo) ? returnTo : '/');
    });
    shell.use(oauth);
  }

  async function state(expected: string): Promise<void> {
    const body = await tab.waitForSelector('body[data-state]', { state: 'attached', timeout: 15_000 });
    expect(await body.getAttribute('data-state')).toBe(expected);
  }
  /** Runs in the page, where `client` is. */
  const inPage = <T>(code: string): Promise<T> => tab.evaluate<T>(`(async () => { ${code} })()`);

  async function signIn(kind: string): Promise<void> {
    await tab.goto(`${app}/?kind=${kind}`);
    await state('ready');
    await inPage('client.loginWithRedirect()');
    await tab.waitForURL('**/login?*');
    await tab.fill('input[name=name]', 'alice');
    await tab.click('button');
    await state('signed in');
  }
  const call = (token: string): Promise<unknown> =>
    inPage(`return (await fetch('${api}', { headers: { Authorization: 'Bearer ${token}' } })).json()`);

  it('signs in with an audience, shows the profile, and is renewed silently without a refresh token', async () => {
    await signIn('frame');
    expect(await inPage('return client.getUser()')).toMatchObject({
      sub: 'alice',
      name: 'alice of the vendor',
      email: 'alice@example.com',
    });
    const [first, renewed] = await inPage<string[]>(
      "return [await client.getTokenSilently(), await client.getTokenSilently({ cacheMode: 'off' })]",
    );
    expect(renewed).not.toBe(first);
    expect(await call(renewed!)).toEqual({ of: 'alice' });
  });

  it('is renewed by its refresh token, twice', async () => {
    await signIn('refresh');
    const tokens = await inPage<string[]>(
      "const all = []; for (let i = 0; i < 3; i++) all.push(await client.getTokenSilently({ cacheMode: i ? 'off' : 'on' })); return all",
    );
    expect(new Set(tokens).size).toBe(3);
    expect(await call(tokens[2]!)).toEqual({ of: 'alice' });
  });

  it('binds its tokens to a key (DPoP)', async () => {
    await signIn('dpop');
    const answer = await inPage(
      `const fetcher = client.createFetcher({ dpopNonceId: 'api', getAccessToken: () => client.getTokenSilently() });
      const response = await fetcher.fetchWithAuth('${api}'); return [response.status, await response.json()]`,
    );
    expect(answer).toEqual([200, { of: 'alice' }]);
    const unbound = await inPage<string>('return client.getTokenSilently()');
    expect(await call(unbound)).toMatchObject({ error: 'invalid_token' });
  });

  it('signs out, back to the app, when the user confirms; and is signed out', async () => {
    await signIn('frame');
    await inPage(`client.logout({ logoutParams: { post_logout_redirect_uri: '${app}' } })`);
    await tab.waitForURL('**/v2/logout?*');
    await tab.click('button[value=sign_out]');
    await state('ready');
    expect(await inPage('return client.isAuthenticated()')).toBe(false);
    const refused = await inPage<string>(
      "return client.getTokenSilently({ cacheMode: 'off' }).then(() => 'signed in', ({ error }) => error)",
    );
    expect(refused).toBe('login_required');
  });
});
