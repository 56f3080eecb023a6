/** An existing API, with sessions and body parsers in place, gets OAuth under /api/v1/auth/oauth. */
import express, { type Express, Router } from 'express';
import session from 'express-session';
import helmet from 'helmet';
import {
  createOAuthRouter,
  generateClientSecret,
  memoryAdapter,
  type ClientMetadata,
} from 'express-oauth-router';
import { listenOnLoopback } from './listen';

declare module 'express-session' {
  interface SessionData {
    account: { accountId: number; email: string; signedInAt: number };
  }
}

/** The host's own tables. */
const accounts = [{ accountId: 7, email: 'alice@example.com', password: 'wonderland' }];
const mobile: ClientMetadata = {
  clientId: 'mobile',
  clientName: 'Mobile app',
  redirectUris: ['com.example.mobile:/callback'],
  scope: 'invoices:read',
};
/** The host's own web app, on another origin: it needs no consent. Its server has the secret. */
export const dashboardSecret = generateClientSecret();
const dashboard: ClientMetadata = {
  clientId: 'dashboard',
  clientSecretHash: dashboardSecret.clientSecretHash,
  scope: 'invoices:read',
  firstParty: true,
};

export function createApp(origin: string, dashboardUri = 'http://localhost:4000/callback'): Express {
  const apps = [mobile, { ...dashboard, redirectUris: [dashboardUri] }];
  const app = express();
  app.use(helmet());
  app.use(express.json());
  app.use(express.urlencoded({ extended: true }));
  app.use(session({ secret: 'only for this example', resave: false, saveUninitialized: false }));

  const oauth = createOAuthRouter({
    issuer: `${origin}/api/v1/auth/oauth`,
    // Clients come from the host's own table, everything else from the adapter.
    adapter: { ...memoryAdapter(), getClient: (clientId) => apps.find((row) => row.clientId === clientId) },
    authenticate: ({ session: { account } }) =>
      account && { id: account.accountId, email: account.email, authTime: account.signedInAt },
    loadUser: (userId) => {
      return accounts.find(({ accountId }) => String(accountId) === userId);
    },
    claims: ({ user }) => ({ email: user?.email }),
    loginUrl: '/login',
    scopes: { 'invoices:read': 'Read your invoices' },
  });

  oauth.events.on('refresh_token.reused', ({ userId, clientId }) => {
    console.warn(
      `a refresh token of user ${userId ?? ''} was used twice by ${clientId ?? ''}: its grant was revoked`,
    );
  });

  const api = Router();
  api.use('/auth/oauth', oauth);
  api.get('/invoices', oauth.requireToken({ scope: 'invoices:read' }), (req, res) => {
    res.json({ owner: req.oauth.userId, email: req.oauth.claims.email, invoices: [] });
  });
  api.delete('/connected-apps/:clientId', async (req, res) => {
    const { account } = req.session;
    if (!account) return void res.sendStatus(401);
    res.json({
      ended: await oauth.revokeGrants({ userId: account.accountId, clientId: req.params.clientId }),
    });
  });
  app.use('/api/v1', api);
  app.use(oauth.wellKnown);

  // helmet's Cross-Origin-Opener-Policy would separate a popup from the app that opened it.
  app.use('/login', (_req, res, next) => {
    res.removeHeader('Cross-Origin-Opener-Policy');
    next();
  });
  // The form is posted to the URL of the page, which has return_to in its query.
  app.get('/login', (_req, res) => {
    res.send(`<!doctype html><title>Sign in</title>
<form method="post">
<label>Email <input name="email" type="email" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button>Sign in</button>
</form>`);
  });
  app.post('/login', (req, res, next) => {
    const { email, password } = (req.body ?? {}) as { email?: string; password?: string };
    const account = accounts.find((row) => row.email === email && row.password === password);
    if (!account) return void res.sendStatus(401);
    const returnTo = req.query.return_to;
    req.session.regenerate((error) => {
      if (error) return next(error);
      const { accountId, email } = account;
      req.session.account = { accountId, email, signedInAt: Math.floor(Date.now() / 1000) };
      res.redirect(oauth.isResumeUrl(returnTo) ? returnTo : '/');
    });
  });
  return app;
}

if (require.main === module) listenOnLoopback((origin) => createApp(origin));
