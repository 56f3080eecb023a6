/** One app with many tenants: each has its own authorization server, which is created on its first request. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';

import express, { type Express, type RequestHandler } from 'express';
import session from 'express-session';
import { LRUCache } from 'lru-cache';
import {
  createOAuthRouter,
  memoryAdapter,
  type Adapter,
  type ClientOptions,
  type OAuthRouter,
} from 'express-oauth-router';
import { listenOnLoopback } from './listen';

declare module 'express-session' {
  interface SessionData {
    tenantMember: { tenant: string; id: string };
  }
}

/** The host's record of a tenant, in its database. */
export interface Tenant {
  secret: string;
  /** PEM. */
  signingKey: string;
  clients: ClientOptions[];
}

export function newTenant(clients: ClientOptions[]): Tenant {
  const { privateKey: signingKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { secret: randomBytes(32).toString('base64url'), signingKey, clients };
}

interface AppOptions {
  tenantOf: (id: string) => Tenant | undefined;
  /** Returns the tenant's adapter, with a separate prefix for each tenant where tenants share a database. */
  adapterOf: (id: string) => Adapter;
  /** The number of routers to keep. A router can be created again, because its adapter has all of its state. */
  maximum?: number;
}

export function createApp(origin: string, { tenantOf, adapterOf, maximum = 100 }: AppOptions): Express {
  const routers = new LRUCache<string, OAuthRouter>({ max: maximum });

  function routerOf(id: string): OAuthRouter | undefined {
    const ready = routers.get(id);
    const tenant = ready ? undefined : tenantOf(id);
    if (!tenant) return ready;
    const router = createOAuthRouter({
      issuer: `${origin}/t/${id}/oauth`,
      adapter: adapterOf(id),
      secrets: [tenant.secret],
      signingKeys: [tenant.signingKey],
      clients: tenant.clients,
      // A user who is signed in at one tenant is not signed in at another.
      authenticate: ({ session: { tenantMember } }) =>
        tenantMember?.tenant === id ? { id: tenantMember.id } : undefined,
      loginUrl: `/t/${id}/login`,
    });
    routers.set(id, router);
    return router;
  }

  const app = express();
  app.use(session({ secret: 'of this example', resave: false, saveUninitialized: false }));
  app.use('/t/:tenant/oauth', (req, res, next) => {
    const router = routerOf(req.params.tenant);
    if (router) router(req, res, next);
    else next();
  });
  // The metadata documents whose `/.well-known/` part comes before the issuer's path.
  app.use((req, res, next) => {
    const id = /^\/\.well-known\/[\w-]+\/t\/([\w-]+)\/oauth$/.exec(req.path)?.[1];
    const router = id === undefined ? undefined : routerOf(id);
    if (router) router.wellKnown(req, res, next);
    else next();
  });

  app
    .route('/t/:tenant/login')
    .all((req, _res, next) => next(routerOf(req.params.tenant) ? undefined : 'route'))
    .get((_req, res) => void res.send('<form method="post"><button>Sign in as alice</button></form>'))
    .post((req, res, next) => {
      const { tenant } = req.params;
      const returnTo = req.query.return_to;
      req.session.regenerate((error) => {
        if (error) return next(error);
        req.session.tenantMember = { tenant, id: 'alice' };
        res.redirect(routerOf(tenant)?.isResumeUrl(returnTo) ? returnTo : '/');
      });
    });

  const protect: RequestHandler<{ tenant: string }> = (req, res, next) => {
    const router = routerOf(req.params.tenant);
    if (router) router.requireToken({ checkRevocation: true })(req as never, res, next);
    else next();
  };
  app.get('/t/:tenant/api', protect, (req, res) => {
    res.json({ tenant: req.params.tenant, user: req.oauth.subject });
  });
  return app;
}

if (require.main === module) {
  listenOnLoopback(
    (origin) => {
      const redirectUris = [`${origin}/callback`];
      const clients = [{ clientId: 'app', redirectUris, scope: 'profile', firstParty: true }];
      const tenants = new Map(['acme', 'globex'].map((id) => [id, newTenant(clients)]));
      const adapters = new Map([...tenants.keys()].map((id) => [id, memoryAdapter()]));
      return createApp(origin, {
        tenantOf: (id) => tenants.get(id),
        adapterOf: (id) => adapters.get(id) ?? memoryAdapter(),
      });
    },
    (origin) => `${origin}/t/acme/oauth/.well-known/oauth-authorization-server, and globex`,
  );
}
