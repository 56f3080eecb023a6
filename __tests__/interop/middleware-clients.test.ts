import { ExpressAuth, getSession, type ExpressAuthConfig } from '@auth/express';
import express, { type Express, type Request, type Response } from 'express';
import { auth } from 'express-openid-connect';
import session from 'express-session';
import NextAuth, { type AuthOptions } from 'next-auth';
import { Issuer } from 'openid-client5';
import passport from 'passport';
import OAuth2Strategy, { type VerifyCallback } from 'passport-oauth2';

import type { ClientOptions } from 'express-oauth-router';

import { browser } from '../support/browser';
import { listen, type Host } from '../support/host';
import { ALICE, openidHost } from '../support/openid';

const SECRET = 'a client secret of thirty-two bytes or more';

/** Middleware that many Express and Next apps have, with its own defaults, against a host over HTTP. */
describe('middleware of apps', () => {
  let host: Host;
  let issuer: string;
  let app: Express;
  let appOrigin: string;
  const closers: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    const [hostShell, appShell] = [express(), express()];
    const [atHost, atApp] = [await listen(hostShell), await listen(appShell)];
    closers.push(atHost.close, atApp.close);
    issuer = `${atHost.origin}/oauth`;
    appOrigin = atApp.origin;
    const client = (clientId: string, callback: string): ClientOptions => ({
      clientId,
      clientSecret: SECRET,
      redirectUris: [appOrigin + callback],
      scope: 'openid profile email offline_access',
      firstParty: true,
    });
    host = openidHost(
      { store: 'memory', mount: 'root' },
      {
        issuer,
        clients: [
          client('eoc', '/callback'),
          client('passport', '/passport/callback'),
          client('authjs', '/authjs/callback/acme'),
          client('nextauth', '/api/auth/callback/acme'),
          client('five', '/five/callback'),
        ],
      },
    );
    hostShell.use('/oauth', host.oauth);
    hostShell.use(host.oauth.wellKnown);
    app = appShell;
  });
  afterAll(async () => {
    for (const close of closers) await close();
  });
  beforeEach(() => {
    host.now = Date.now();
    host.user = { id: 'alice', authTime: Math.floor(Date.now() / 1000) };
  });

  it('express-openid-connect: the user’s profile is in the ID token, and the token is refreshed twice', async () => {
    const router = express.Router();
    router.use(
      auth({
        issuerBaseURL: issuer,
        baseURL: appOrigin,
        clientID: 'eoc',
        clientSecret: SECRET,
        secret: 'a secret of the session that is long enough',
        authRequired: false,
        authorizationParams: { response_type: 'code', scope: 'openid profile email offline_access' },
      }),
    );
    router.get('/eoc/me', async (req, res) => {
      let { accessToken } = req.oidc;
      for (let times = 0; times < 2; times++) accessToken = await accessToken!.refresh();
      res.json({ user: req.oidc.user, token: accessToken!.access_token });
    });
    app.use(router);
    const { visit } = browser(appOrigin);
    await visit('/login');
    const { text } = await visit('/eoc/me');
    const { user, token } = JSON.parse(text) as { user: object; token: string };
    expect(user).toMatchObject({ sub: 'alice', name: ALICE.name, email: ALICE.email });
    expect(token.split('.')).toHaveLength(3);
  });

  it('passport-oauth2: the secret in the body, where nobody chose Basic', async () => {
    const strategy = new OAuth2Strategy(
      {
        authorizationURL: `${issuer}/authorize`,
        tokenURL: `${issuer}/token`,
        clientID: 'passport',
        clientSecret: SECRET,
        callbackURL: `${appOrigin}/passport/callback`,
        scope: ['openid', 'profile', 'email', 'offline_access'],
        state: true,
        pkce: true,
      },
      (
        accessToken: string,
        refreshToken: string,
        params: object,
        _profile: unknown,
        done: VerifyCallback,
      ) => {
        done(null, { accessToken, refreshToken, params });
      },
    );
    const own = new passport.Passport();
    own.use(strategy);
    const router = express.Router();
    router.use(session({ secret: 'only for this test', resave: false, saveUninitialized: false }));
    router.get('/login', own.authenticate('oauth2', { session: false }) as express.RequestHandler);
    router.get(
      '/callback',
      own.authenticate('oauth2', { session: false }) as express.RequestHandler,
      (req, res) => {
        res.json(req.user);
      },
    );
    app.use('/passport', router);
    const { text } = await browser(appOrigin).visit('/passport/login');
    const { refreshToken, params } = JSON.parse(text) as {
      refreshToken: string;
      params: { id_token: string };
    };
    expect(JSON.parse(Buffer.from(params.id_token.split('.')[1]!, 'base64url').toString())).toMatchObject({
      name: ALICE.name,
      email: ALICE.email,
    });
    let latest = refreshToken;
    for (let times = 0; times < 2; times++) {
      latest = await new Promise((resolve, reject) => {
        const oauth2 = (
          strategy as unknown as { _oauth2: { getOAuthAccessToken: (...args: unknown[]) => void } }
        )._oauth2;
        oauth2.getOAuthAccessToken(
          latest,
          { grant_type: 'refresh_token' },
          (error: Error | null, _token: string, next: string) =>
            error ? reject(new Error(JSON.stringify(error))) : resolve(next),
        );
      });
      expect(latest).not.toBe(refreshToken);
    }
  });

  it('Auth.js: a user with name and e-mail', async () => {
    const config: ExpressAuthConfig = {
      secret: 'a secret of the session that is long enough',
      trustHost: true,
      providers: [
        { id: 'acme', name: 'Acme', type: 'oidc', issuer, clientId: 'authjs', clientSecret: SECRET },
      ],
    };
    const router = express.Router();
    router.get('/authjs/me', async (req, res) => void res.json(await getSession(req, config)));
    router.use('/authjs', ExpressAuth(config) as express.RequestHandler);
    app.use(router);
    const { visit } = browser(appOrigin);
    const csrf = JSON.parse((await visit('/authjs/csrf')).text) as { csrfToken: string };
    const done = await visit('/authjs/signin/acme', { ...csrf, callbackUrl: `${appOrigin}/authjs/me` });
    expect(JSON.parse(done.text)).toMatchObject({ user: { name: ALICE.name, email: ALICE.email } });
  });

  it('next-auth 4: a user with name and e-mail', async () => {
    process.env.NEXTAUTH_URL = appOrigin;
    const handle = NextAuth as unknown as (req: object, res: Response, options: AuthOptions) => Promise<void>;
    app.use('/api/auth', express.urlencoded({ extended: false }), (req: Request, res: Response): void => {
      const pairs = (req.headers.cookie ?? '').split('; ').map((pair) => {
        const [name = '', ...value] = pair.split('=');
        return [name, decodeURIComponent(value.join('='))];
      });
      // What Next adds to a request.
      const next = {
        cookies: Object.fromEntries(pairs) as object,
        query: { ...req.query, nextauth: req.path.slice(1).split('/') },
      };
      const request = new Proxy(req, {
        get: (target, name) => Reflect.get(name in next ? next : target, name) as unknown,
      });
      void handle(request, res, {
        secret: 'a secret of the session that is long enough',
        providers: [
          {
            id: 'acme',
            name: 'Acme',
            type: 'oauth',
            wellKnown: `${issuer}/.well-known/openid-configuration`,
            authorization: { params: { scope: 'openid profile email' } },
            clientId: 'nextauth',
            clientSecret: SECRET,
            idToken: true,
            checks: ['pkce', 'state'],
            profile: ({ sub, name, email }: Record<string, string>) => ({ id: sub!, name, email }),
          },
        ],
      });
    });
    const { visit } = browser(appOrigin);
    const csrf = JSON.parse((await visit('/api/auth/csrf')).text) as { csrfToken: string };
    const done = await visit('/api/auth/signin/acme', {
      ...csrf,
      callbackUrl: `${appOrigin}/api/auth/session`,
    });
    expect(JSON.parse(done.text)).toMatchObject({ user: { name: ALICE.name, email: ALICE.email } });
  });

  it('openid-client 5: RS256, and two refreshes', async () => {
    const { Client } = await Issuer.discover(issuer);
    const redirectUri = `${appOrigin}/five/callback`;
    const client = new Client({ client_id: 'five', client_secret: SECRET, redirect_uris: [redirectUri] });
    const codeVerifier = 'v'.repeat(43);
    const { createHash } = await import('node:crypto');
    const challenge = createHash('sha256').update(codeVerifier).digest('base64url');
    const url = client.authorizationUrl({
      scope: 'openid profile email offline_access',
      state: 's',
      nonce: 'n',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    });
    const { url: back } = await browser(appOrigin, [redirectUri]).visit(url);
    let tokens = await client.callback(redirectUri, client.callbackParams(back), {
      state: 's',
      nonce: 'n',
      code_verifier: codeVerifier,
    });
    expect(tokens.claims()).toMatchObject({ sub: 'alice', name: ALICE.name, email: ALICE.email });
    for (let times = 0; times < 2; times++) tokens = await client.refresh(tokens.refresh_token!);
    expect(await client.userinfo(tokens)).toMatchObject({ sub: 'alice', email: ALICE.email });
  });
});
