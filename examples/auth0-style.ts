/**
 * Works like an identity vendor's token endpoint: two APIs, ID tokens, a machine client that signs, and a single-page app with
 * DPoP.
 */
import { createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';

import express, { type Express } from 'express';
import session from 'express-session';
import { createOAuthRouter, type ClientMetadata } from 'express-oauth-router';
import { listenOnLoopback } from './listen';

declare module 'express-session' {
  interface SessionData {
    person: { id: string; authTime: number; sid: string };
  }
}

export const ORDERS = 'https://orders.example.com';
export const BILLING = 'https://billing.example.com';

/** The host's own users. */
const people = new Map([
  [
    'alice',
    { name: 'Alice Adams', email: 'alice@example.com', email_verified: true, password: 'wonderland' },
  ],
]);

const LOGIN = `<form method="post"><label>Name <input name="name" value="alice"></label>
<label>Password <input name="password" type="password" value="wonderland"></label> <button>Sign in</button></form>`;

export function createApp(origin: string, machineKeys: ClientMetadata['jwks']): Express {
  const app = express();
  app.use(session({ name: 'host', secret: 'of this example', resave: false, saveUninitialized: false }));

  const oauth = createOAuthRouter({
    issuer: `${origin}/oauth`,
    resources: [
      // Tokens are valid for a day, which is the vendor's default.
      { identifier: ORDERS, scopes: ['orders:read', 'orders:write'], accessTokenLifetime: 86_400 },
      // Only the machine may ask for tokens for billing, and they are short-lived.
      { identifier: BILLING, scopes: ['invoices:write'], accessTokenLifetime: 300, clients: ['machine'] },
    ],
    defaultAudience: ORDERS,
    refreshTokens: { issue: 'offline_access' },
    clients: [
      {
        clientId: 'web',
        clientSecret: 'a secret of the web app that is long',
        tokenEndpointAuthMethod: 'client_secret_post',
        redirectUris: [`${origin}/callback`],
        postLogoutRedirectUris: [`${origin}/`],
        scope: 'openid profile email offline_access orders:read orders:write',
        firstParty: true,
      },
      {
        clientId: 'spa',
        redirectUris: [`${origin}/spa`],
        scope: 'openid profile offline_access orders:read',
        dpopBoundAccessTokens: true,
        firstParty: true,
      },
      {
        clientId: 'machine',
        tokenEndpointAuthMethod: 'private_key_jwt',
        jwks: machineKeys,
        grantTypes: ['client_credentials'],
        scope: 'orders:read invoices:write',
      },
    ],
    authenticate: ({ session: { person } }) => person,
    loginUrl: '/login',
    endSession: (req) => new Promise<void>((resolve) => req.session.destroy(() => resolve())),
    loadUser: (userId) => people.get(userId),
    userClaims: ({ user }) => ({
      name: user?.name,
      email: user?.email,
      email_verified: user?.email_verified,
    }),
  });
  app.use('/oauth', oauth);
  app.use(oauth.wellKnown);

  app.get('/login', (_req, res) => void res.send(LOGIN));
  app.post('/login', express.urlencoded(), (req, res, next) => {
    const { name = '', password } = (req.body ?? {}) as { name?: string; password?: string };
    const returnTo = req.query.return_to;
    const person = people.get(name);
    if (!person || person.password !== password) return void res.status(401).send(LOGIN);
    req.session.regenerate((error) => {
      if (error) return next(error);
      req.session.person = { id: name, authTime: Math.floor(Date.now() / 1000), sid: randomUUID() };
      res.redirect(oauth.isResumeUrl(returnTo) ? returnTo : '/');
    });
  });

  app.get('/', (_req, res) => {
    res.send(`<p>Discovery: <a href="/oauth/.well-known/openid-configuration">${origin}/oauth</a></p>`);
  });
  app.get('/orders', oauth.requireToken({ audience: ORDERS, scope: 'orders:read' }), (req, res) => {
    res.json({ orders: [], of: req.oauth.subject });
  });
  app.post('/invoices', oauth.requireToken({ audience: BILLING, scope: 'invoices:write' }), (req, res) => {
    res.status(201).json({ by: req.oauth.clientId });
  });
  return app;
}

if (require.main === module) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  console.log(`The machine's private key:\n${privateKey}`);
  const keys = [createPublicKey(publicKey).export({ format: 'jwk' })];
  listenOnLoopback(
    (origin) => createApp(origin, { keys }),
    (origin) => `Discovery: ${origin}/oauth/.well-known/openid-configuration`,
  );
}
