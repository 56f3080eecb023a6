import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';

import cors from 'cors';
import express, { type Express } from 'express';
import session from 'express-session';
import Redis from 'ioredis';
import type { Browser, Page } from 'playwright-core';

import { createOAuthRouter, redisAdapter } from 'express-oauth-router';

import { launchChromium } from './chromium';
import { tlsServer } from './tls-server';
import { keyPair } from '../support/keys';

declare module 'express-session' {
  interface SessionData {
    member: { id: string; authTime: number };
  }
}

const LIBRARY = path.join(
  path.dirname(require.resolve('oidc-client-ts/package.json')),
  'dist/browser/oidc-client-ts.min.js',
);

/** The single-page app: oidc-client-ts, and a page for each of its returns. */
const page = (
  authority: string,
  origin: string,
): string => `<!doctype html><meta charset="utf-8"><title>App</title>
<script src="/oidc.js"></script><script>
const kind = new URLSearchParams(location.search).get('kind') ?? localStorage.getItem('kind') ?? 'spa';
localStorage.setItem('kind', kind);
const manager = new oidc.UserManager({
  authority: '${authority}', client_id: kind, scope: 'openid profile' + (kind === 'offline' ? ' offline_access' : ''),
  redirect_uri: '${origin}/callback', silent_redirect_uri: '${origin}/silent', post_logout_redirect_uri: '${origin}/',
  userStore: new oidc.WebStorageStateStore({ store: localStorage }), automaticSilentRenew: false,
  // The library sends no proof to userinfo.
  loadUserInfo: kind !== 'dpop',
  ...(kind === 'dpop' && { dpop: { bind_authorization_code: true, store: new oidc.IndexedDbDPoPStore() } }),
});
const done = (text) => { document.body.dataset.state = text; };
addEventListener('load', async () => {
  try {
    if (location.pathname === '/callback') { await manager.signinCallback(); done('signed in'); }
    else if (location.pathname === '/silent') await manager.signinSilentCallback();
    else done('ready');
  } catch (error) { done('failed: ' + error.message); }
});
</script><body></body>`;

/** oidc-client-ts in a real Chromium, over TLS, with the app on a sibling of the issuer's origin. */
describe('a single-page app in a browser', () => {
  const redis = new Redis(process.env.REDIS_URL!);
  const closers: (() => Promise<unknown>)[] = [() => redis.quit()];
  let browser: Browser;
  let tab: Page;
  let app: string;
  let api: string;

  beforeAll(async () => {
    const serve = async (name: string): Promise<{ origin: string; express: Express }> => {
      const server = await tlsServer();
      closers.push(() => server.close());
      return { origin: `https://${name}.example.test:${server.port}`, express: server.express };
    };
    const [host, spa] = [await serve('id'), await serve('app')];
    app = spa.origin;
    api = `${host.origin}/api`;
    mountHost(host.express, host.origin);
    spa.express.get('/oidc.js', (_req, res) => void res.type('js').send(readFileSync(LIBRARY)));
    spa.express.use((_req, res) => void res.send(page(`${host.origin}/oauth`, spa.origin)));

    browser = await launchChromium();
    closers.unshift(() => browser.close());
  });
  afterAll(async () => {
    for (const close of closers) await close();
  });

  function mountHost(shell: Express, origin: string): void {
    const registered = {
      redirectUris: [`${app}/callback`, `${app}/silent`],
      postLogoutRedirectUris: [`${app}/`],
      scope: 'openid profile offline_access',
      firstParty: true,
    };
    const oauth = createOAuthRouter({
      issuer: `${origin}/oauth`,
      adapter: redisAdapter(redis, { prefix: `browser:${randomUUID()}:` }),
      secrets: ['a secret of the browser tests that is long enough'],
      signingKeys: [keyPair().privateKey, { key: keyPair('RS256').privateKey, alg: 'RS256' }],
      clients: [
        { clientId: 'spa', ...registered },
        { clientId: 'offline', ...registered },
        { clientId: 'dpop', ...registered, dpopBoundAccessTokens: true },
      ],
      refreshTokens: { issue: 'offline_access' },
      authenticate: ({ sessionID, session: { member } }) => member && { ...member, sid: sessionID },
      loginUrl: '/login',
      endSession: (req) => new Promise<void>((resolve) => req.session.destroy(() => resolve())),
      userClaims: ({ userId }) => ({ name: `${userId} of the browser` }),
    });
    shell.use(
      session({
        secret: 'x',
        resave: false,
        saveUninitialized: false,
        cookie: { secure: true, sameSite: 'lax' },
      }),
    );
    shell.use('/oauth', oauth);
    shell.use(oauth.wellKnown);
    shell.get('/login', (_req, res) => {
      res.send('<form method="post"><input name="name"><button>Sign in</button></form>');
    });
    shell.post('/login', express.urlencoded(), (req, res) => {
      const returnTo = req.query.return_to;
      const { name } = req.body as { name: string };
      req.session.member = { id: name, authTime: Math.floor(Date.now() / 1000) };
      res.redirect(oauth.isResumeUrl(returnTo) ? returnTo : '/');
    });
    shell.use('/api', cors());
    shell.get('/api', oauth.requireToken(), (req, res) => void res.json({ of: req.oauth.subject }));
  }

  beforeEach(async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    tab = await context.newPage();
  });
  afterEach(() => tab.context().close());

  async function state(expected: string): Promise<void> {
    const body = await tab.waitForSelector('body[data-state]', { state: 'attached', timeout: 15_000 });
    expect(await body.getAttribute('data-state')).toBe(expected);
  }
  /** Runs in the page, where `manager` is. */
  const inPage = <T>(code: string): Promise<T> => tab.evaluate<T>(`(async () => { ${code} })()`);

  async function signIn(kind: string): Promise<void> {
    await tab.goto(`${app}/?kind=${kind}`);
    await state('ready');
    await inPage('manager.signinRedirect()');
    await tab.waitForURL('**/login?*');
    await tab.fill('input[name=name]', 'alice');
    await tab.click('button');
    await state('signed in');
  }

  it('signs in, and is renewed silently by prompt=none in a frame', async () => {
    await signIn('spa');
    const user = await inPage<{
      profile: Record<string, unknown>;
      access_token: string;
      refresh_token?: string;
    }>('return manager.getUser()');
    expect(user.profile).toMatchObject({ sub: 'alice', name: 'alice of the browser' });
    expect(user.refresh_token).toBeUndefined();
    const renewed = await inPage<{ access_token: string; profile: { sub: string } }>(
      'return manager.signinSilent()',
    );
    expect(renewed.profile.sub).toBe('alice');
    expect(renewed.access_token).not.toBe(user.access_token);
  });

  it('is renewed by its refresh token', async () => {
    await signIn('offline');
    const [before, after] = await inPage<{ access_token: string; refresh_token: string }[]>(
      'return [await manager.getUser(), await manager.signinSilent()]',
    );
    expect(after!.access_token).not.toBe(before!.access_token);
    expect(after!.refresh_token).not.toBe(before!.refresh_token);
  });

  it('holds tokens that are bound to a key of the browser (DPoP), with the server’s nonces', async () => {
    await signIn('dpop');
    const answer = await inPage<unknown[]>(`
      const user = await manager.getUser();
      const proof = await manager.dpopProof('${api}', user, 'GET');
      const headers = { Authorization: 'DPoP ' + user.access_token, DPoP: proof };
      const call = (headers) => fetch('${api}', { headers });
      const bound = await call(headers);
      const unbound = await call({ Authorization: headers.Authorization.replace('DPoP', 'Bearer') });
      return [user.token_type.toLowerCase(), bound.status, await bound.json(), unbound.status];
    `);
    expect(answer).toEqual(['dpop', 200, { of: 'alice' }, 401]);
  });

  it('signs out, and is not signed in silently after that', async () => {
    await signIn('spa');
    await inPage('manager.signoutRedirect()');
    await state('ready');
    expect(tab.url()).toMatch(new RegExp(`^${app}/`));
    const refused = await inPage<string>(
      'return manager.signinSilent().then(() => "signed in", (error) => error.error ?? error.message)',
    );
    expect(refused).toBe('login_required');
  });
});
