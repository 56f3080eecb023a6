import { Router, type RequestHandler } from 'express';

import { guardedStore } from './adapters/store';
import { clientAuthentication } from './clients/authentication';
import { clientRegistry } from './clients/registry';
import { authorization, authorizationEndpoint } from './endpoints/authorize';
import { consentEndpoint, consentStep } from './endpoints/consent';
import { introspectionEndpoint } from './endpoints/introspect';
import { jwksEndpoint } from './endpoints/jwks';
import { endpointUrl, metadataEndpoint, PATHS, wellKnownRouter } from './endpoints/metadata';
import { resumption } from './endpoints/resumption';
import { revocationEndpoint } from './endpoints/revoke';
import { signIn } from './endpoints/sign-in';
import { tokenEndpoint } from './endpoints/token';
import { tokenEngine } from './engine';
import { eventReporter, type OAuthEvents } from './events';
import { authorizationCodeGrant } from './grants/authorization-code';
import { clientCredentialsGrant } from './grants/client-credentials';
import { extensionGrant } from './grants/extension';
import { refreshTokenGrant } from './grants/refresh-token';
import { tokenIssuer } from './grants/token-issuer';
import { tokenStatus } from './grants/token-status';
import type { OAuthUser } from './grants/user';
import { operations, type Operations } from './operations';
import { resolveOptions, type OAuthRouterOptions } from './options';
import { errorResponse } from './pages/error';
import { pageLayout } from './pages/layout';
import { requireTokenFactory, type RequireToken } from './resource/require-token';
import { accessTokens as accessTokensOf } from './tokens/access-token';
import { grantTokens as grantTokensOf } from './tokens/grant-token';
import { deriveKeys, sealer } from './tokens/keys';

/** The router, and what goes with it. */
export interface OAuthRouter extends Router, Operations {
  /** For the origin's root: `app.use(oauth.wellKnown)` (RFC 8414 §3.1). */
  readonly wellKnown: Router;
  /** Middleware that lets a request through with an access token of this server, and sets `req.oauth` (RFC 6750). */
  readonly requireToken: RequireToken;
  /** What happens here, for logs and alarms. */
  readonly events: OAuthEvents;
  /**
   * Whether a URL continues an authorization request here. A login page must check its `return_to` with it, or it
   * redirects to wherever anybody likes.
   */
  isResumeUrl(url: unknown): url is string;
}

/**
 * Makes an OAuth 2.1 authorization server as an Express router.
 *
 * @throws OAuthConfigurationError that names every fault of the options
 * @example
 * const oauth = createOAuthRouter({
 *   issuer: 'https://api.example.com/oauth',
 *   adapter: redisAdapter(new Redis(process.env.REDIS_URL)),
 *   secrets: [process.env.OAUTH_SECRET],
 *   signingKeys: [process.env.OAUTH_SIGNING_KEY],
 *   authenticate: (req) => req.session.user,
 *   loginUrl: '/login',
 * });
 * app.use('/oauth', oauth);
 * app.use(oauth.wellKnown);
 * app.get('/orders', oauth.requireToken({ scope: 'orders:read' }), listOrders);
 */
export function createOAuthRouter<User extends OAuthUser, LoadedUser = User>(
  options: OAuthRouterOptions<User, LoadedUser>,
): OAuthRouter {
  const resolved = resolveOptions(options);
  const { issuer, secrets, signingKeys, policies, clock, defaultAudience, development: allowHttp } = resolved;

  const reporter = eventReporter();
  const store = guardedStore(resolved.adapter, resolved.storeTimeout, reporter);
  const registry = clientRegistry({ clients: resolved.clients, store, allowHttp });
  const authentication = clientAuthentication(registry, reporter);
  const audiences = { all: [...new Set([defaultAudience, ...resolved.resources])], default: defaultAudience };

  const grantTokens = grantTokensOf(secrets, issuer);
  const accessTokens = accessTokensOf(signingKeys, secrets, issuer);
  const sealerFor = (purpose: string): ReturnType<typeof sealer> =>
    sealer(deriveKeys(secrets, purpose, issuer));
  const status = tokenStatus(store, registry, clock);

  const { claims, loadUser } = resolved;
  const issue = tokenIssuer({ issuer, accessTokens, policies, clock, claims, loadUser });
  const shared = { store, grantTokens, issue, policies, clock, reporter, audiences };
  const grantTypes = [
    authorizationCodeGrant(shared),
    refreshTokenGrant(shared),
    clientCredentialsGrant(shared),
    ...Object.entries(resolved.grants).map(([name, decide]) => extensionGrant(name, decide, shared)),
  ];

  const page = pageLayout(resolved.branding);
  const respond = errorResponse(page, resolved.errorPage);
  const { authenticate, loginUrl } = resolved;
  const resumed = resumption({
    authorizeUrl: endpointUrl(issuer, 'authorize'),
    asPath: typeof loginUrl === 'string' && loginUrl.startsWith('/'),
    sealer: sealerFor('resumption'),
    store,
    clock,
  });
  const consentSealer = sealerFor('consent');
  const authorizationOptions = {
    ...shared,
    issuer,
    registry,
    allowHttp,
    respond,
    resumption: resumed,
    signIn: signIn({ authenticate, loginUrl, resumption: resumed, policies, page, clock }),
    consent: consentStep({
      ...shared,
      consentUrl: endpointUrl(issuer, 'consent'),
      defaultAudience,
      scopes: resolved.scopes,
      handler: resolved.consent,
      sealer: consentSealer,
      resumption: resumed,
      page,
    }),
  };
  const authorize = authorization(authorizationOptions);
  const metadata = metadataEndpoint({
    issuer,
    grantTypes: grantTypes.map(({ name }) => name),
    scopes: [
      ...new Set([...Object.keys(resolved.scopes), ...registry.fixed.flatMap(({ client }) => client.scope)]),
    ],
    authenticationMethods: authentication.methods,
    reporter,
  });

  const endpoints = new Map<string, RequestHandler>([
    [PATHS.authorize, authorizationEndpoint(authorize, authorizationOptions)],
    [
      PATHS.consent,
      consentEndpoint({ authorize, sealer: consentSealer, resumption: resumed, clock, reporter, respond }),
    ],
    [
      PATHS.token,
      tokenEndpoint({ grantTypes, authentication, engine: tokenEngine(grantTypes), store, reporter }),
    ],
    [PATHS.revoke, revocationEndpoint({ authentication, store, grantTokens, accessTokens, clock, reporter })],
    [PATHS.introspect, introspectionEndpoint({ ...shared, issuer, authentication, status, accessTokens })],
    [PATHS.jwks, jwksEndpoint(signingKeys, reporter)],
    [PATHS.metadata, metadata],
  ]);
  // One look-up, where a route for each endpoint would match their patterns in turn for every request.
  const router = Router().use(function oauth(req, res, next) {
    const endpoint = endpoints.get(req.path);
    if (endpoint) endpoint(req, res, next);
    else next();
  });

  return Object.assign(
    router,
    operations({ issuer, defaultAudience, store, accessTokens, clock, reporter }),
    {
      wellKnown: wellKnownRouter(issuer, metadata),
      requireToken: requireTokenFactory({ accessTokens, status, defaultAudience, clock, reporter }),
      events: reporter.events,
      isResumeUrl: resumed.isResumeUrl,
    },
  );
}
