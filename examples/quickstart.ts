/**
 * An API with its own login becomes an OAuth authorization server: `npm start`. With `npm start -- --data FILE` its users' grants are
 * kept over a restart.
 */
import { parseArgs } from 'node:util';
import express, { type Express } from 'express';
import session from 'express-session';
import { createOAuthRouter, type OAuthRouterOptions } from 'express-oauth-router';
import { clientPages } from './client-pages';
import { dataFile } from './data-file';
import { listenOnLoopback } from './listen';

declare module 'express-session' {
  interface SessionData {
    user: { id: string; authTime: number };
  }
}

/** The options of a server that keeps its data: in development they may be left out, and everything is kept in memory. */
type Storage = Pick<OAuthRouterOptions, 'adapter' | 'secrets' | 'signingKeys'>;

export function createApp(origin: string, storage: Storage = {}): Express {
  const app = express();
  app.use('/app', clientPages(origin)); // a client, which would be another party's app
  app.use(session({ secret: 'of this example', resave: false, saveUninitialized: false }));

  const oauth = createOAuthRouter({
    issuer: `${origin}/oauth`,
    ...storage,
    clients: [
      {
        clientId: 'demo',
        clientName: 'Demo app',
        redirectUris: [`${origin}/app/callback`],
        scope: 'profile orders:read',
      },
    ],
    scopes: { profile: 'Know who you are', 'orders:read': 'See your orders' },
    authenticate: (req) => req.session.user,
    loginUrl: '/login',
    pages: { branding: { name: 'Acme Orders' } },
  });
  app.use('/oauth', oauth);
  app.use(oauth.wellKnown);

  // The host's own login. It accepts any name.
  app.get('/login', (_req, res) => void res.send(LOGIN_PAGE));
  app.post('/login', express.urlencoded(), (req, res, next) => {
    const { name } = (req.body ?? {}) as { name?: unknown };
    if (typeof name !== 'string' || name === '') return void res.status(400).send(LOGIN_PAGE);
    const returnTo = req.query.return_to;
    req.session.regenerate((error) => {
      if (error) return next(error);
      req.session.user = { id: name, authTime: Math.floor(Date.now() / 1000) };
      res.redirect(oauth.isResumeUrl(returnTo) ? returnTo : '/');
    });
  });
  app.post('/logout', (req, res, next) => {
    req.session.destroy((error) => (error ? next(error) : res.redirect('/')));
  });

  // The host's own API.
  app.get('/orders', oauth.requireToken({ scope: 'orders:read', checkRevocation: true }), (req, res) => {
    res.json([{ item: 'A book on OAuth', customer: req.oauth.userId }]);
  });

  app.get('/', (_req, res) => res.redirect('/app'));
  return app;
}

const LOGIN_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · Acme Orders</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:22rem;margin:4rem auto;padding:0 1rem}
label,input,button{display:block;width:100%;box-sizing:border-box;font:inherit;margin-bottom:.75rem}
input,button{padding:.5rem}</style>
</head>
<body>
<h1>Acme Orders</h1>
<form method="post">
<label for="name">Your name</label>
<input id="name" name="name" value="alice" autocomplete="username" required>
<button>Sign in</button>
</form>
</body>
</html>
`;

if (require.main === module) {
  const { data } = parseArgs({ options: { data: { type: 'string' } } }).values;
  listenOnLoopback((origin) => createApp(origin, data === undefined ? {} : dataFile(data)));
}
