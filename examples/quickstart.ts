/** An API with a login of its own becomes an OAuth authorization server: `npm start`. */
import express, { type Express } from 'express';
import session from 'express-session';
import { createOAuthRouter, type Adapter } from 'express-oauth-router';
import { clientPages } from './client-pages';

declare module 'express-session' {
  interface SessionData {
    user: { id: string; authTime: number };
  }
}

const LOGIN = `<form method="post"><h1>Acme Orders</h1><label>Your name
<input name="name" value="alice"></label> <button>Sign in</button></form>`;

export function createApp(origin: string, adapter?: Adapter): Express {
  const app = express();
  app.use('/app', clientPages(origin)); // a client, which would be somebody else's app
  app.use(session({ secret: 'of this example', resave: false, saveUninitialized: false }));

  const oauth = createOAuthRouter({
    issuer: `${origin}/oauth`,
    adapter, // without one, in development, everything is kept in memory
    clients: [{ clientId: 'demo', redirectUris: [`${origin}/app/callback`], scope: 'profile orders:read' }],
    scopes: { profile: 'Know who you are', 'orders:read': 'See your orders' },
    authenticate: (req) => req.session.user,
    loginUrl: '/login',
    pages: { branding: { name: 'Acme Orders' } },
  });
  app.use('/oauth', oauth);
  app.use(oauth.wellKnown);

  // The host's own login. Any name will do.
  app.get('/login', (_req, res) => void res.send(LOGIN));
  app.post('/login', express.urlencoded(), (req, res, next) => {
    const { name = 'alice' } = req.body as { name?: string };
    const returnTo = req.query.return_to;
    req.session.regenerate((error) => {
      if (error) return next(error);
      req.session.user = { id: name, authTime: Math.floor(Date.now() / 1000) };
      res.redirect(oauth.isResumeUrl(returnTo) ? returnTo : '/');
    });
  });

  // The host's own API.
  app.get('/orders', oauth.requireToken({ scope: 'orders:read', checkRevocation: true }), (req, res) => {
    res.json([{ item: 'A book on OAuth', customer: req.oauth.subject }]);
  });

  app.get('/', (_req, res) => res.redirect('/app'));
  return app;
}

if (require.main === module) {
  createApp('http://localhost:3000').listen(3000, 'localhost', (error) => {
    if (error) throw error;
    console.log('Open http://localhost:3000');
  });
}
