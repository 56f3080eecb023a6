import { Router, type RequestHandler } from 'express';

import { guardedStore } from './adapters/store';
import { clientAuthentication } from './clients/authentication';
import { certificateReader } from './clients/certificate';
import { clientKeySets } from './clients/key-sets';
import { clientIdentification } from './clients/identification';
import { proofOfPossession } from './clients/proof-of-possession';
import { clientRegistry } from './clients/registry';
import { RESPONSE_MODES } from './endpoints/authorization-request';
import { authorizationResponse } from './endpoints/authorization-response';
import { authorization } from './endpoints/authorization';
import { authorizationEndpoint } from './endpoints/authorize';
import { callbackEndpoint } from './endpoints/callback';
import { consentEndpoint, consentStep } from './endpoints/consent';
import { providerPath } from './endpoints/federation-request';
import { introspectionEndpoint } from './endpoints/introspect';
import { jwksEndpoint } from './endpoints/jwks';
import { linkTicketsEndpoint } from './endpoints/link-tickets';
import { linkTokens as linkTokensOf } from './endpoints/link-token';
import { logoutEndpoint } from './endpoints/logout';
import { endpointUrl, metadataEndpoint, PATHS, wellKnownRouter } from './endpoints/metadata';
import { outOfBand } from './endpoints/out-of-band';
import { providerSignIn as providerSignInOf } from './endpoints/provider-sign-in';
import { providerTransactions } from './endpoints/provider-transaction';
import { pushedAuthorizationEndpoint } from './endpoints/pushed-authorization';
import { pushedRequests } from './endpoints/pushed-request';
import { requestObjects as requestObjectsOf } from './endpoints/request-object';
import { resumption } from './endpoints/resumption';
import { revocationEndpoint } from './endpoints/revoke';
import { signIn } from './endpoints/sign-in';
import { tokenEndpoint } from './endpoints/token';
import { userinfoEndpoint } from './endpoints/userinfo';
import { tokenEngine } from './engine';
import { eventReporter, type OAuthEvents } from './events';
import { browserBinding } from './federation/browser-binding';
import { linkTickets as linkTicketsOf } from './federation/link-tickets';
import { providerTokenStore } from './federation/provider-tokens';
import { upstream } from './federation/upstream';
import { subjectMaker } from './grants/anonymous-subject';
import { audiences as audiencesOf } from './grants/audiences';
import { authorizationCodeGrant } from './grants/authorization-code';
import { clientCredentialsGrant } from './grants/client-credentials';
import { extensionGrant } from './grants/extension';
import { refreshTokenGrant } from './grants/refresh-token';
import { signOut as signOutOf } from './grants/sign-out';
import { tokenAlgorithms } from './grants/token-algorithms';
import { tokenIssuer, userLoader } from './grants/token-issuer';
import { tokenStatus } from './grants/token-status';
import type { OAuthUser } from './grants/user';
import { userClaims as userClaimsOf } from './grants/user-claims';
import { endpointFrame } from './http/endpoint';
import { outbound } from './http/outbound';
import { operations, type Operations } from './operations';
import { clientSecretSealer, resolveOptions, type OAuthRouterOptions } from './options';
import { errorResponse } from './pages/error';
import { pageLayout } from './pages/layout';
import { requestUrl } from './resource/request-url';
import { requireTokenFactory, type RequireToken } from './resource/require-token';
import { tokenCheck } from './resource/token-check';
import { accessTokens as accessTokensOf } from './tokens/access-token';
import { dpopNonces } from './tokens/dpop';
import { grantTokens as grantTokensOf } from './tokens/grant-token';
import { idTokens as idTokensOf } from './tokens/id-token';
import { authenticator, deriveKeys, sealer } from './tokens/keys';
import { subjects as subjectsOf } from './tokens/subject';

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
  const { allowPrivateAddresses, noncePolicy, clientCertificate, providers } = resolved;
  const url = (name: keyof typeof PATHS): string => endpointUrl(issuer, name);
  const sealerFor = (purpose: string): ReturnType<typeof sealer> =>
    sealer(deriveKeys(secrets, purpose, issuer));

  const reporter = eventReporter();
  const frame = endpointFrame({ ...resolved, reporter });
  const store = guardedStore(resolved.adapter, resolved.storeTimeout, reporter);
  const registry = clientRegistry({ clients: resolved.clients, store, allowHttp });

  const grantTokens = grantTokensOf(secrets, issuer);
  const algorithms = tokenAlgorithms(resolved.resources, signingKeys);
  const accessTokens = accessTokensOf(signingKeys, secrets, { issuer, isShared: algorithms.isShared });
  const idTokens = idTokensOf(signingKeys, issuer);
  const subjects = subjectsOf(resolved.pairwiseSecret);
  const status = tokenStatus(store, registry, clock);

  const send = outbound({ allowPrivateAddresses });
  const keySetOf = clientKeySets({ fetch: send, clock });
  const certificateOf = certificateReader(clientCertificate);
  const secretSealer = clientSecretSealer(secrets, issuer);
  const identification = clientIdentification(resolved.clientHeaders);
  const authentication = clientAuthentication({
    issuer,
    identification,
    endpointUrls: [url('token'), url('par')],
    registry,
    keySetOf,
    sealer: secretSealer,
    certificateOf: clientCertificate && certificateOf,
    maximumLength: resolved.clientAssertionMaximumLength,
    store,
    clock,
    reporter,
  });
  const possession = proofOfPossession({
    nonces: dpopNonces(secrets, issuer, clock),
    noncePolicy,
    setOnce: (key, ttl) => store.setOnce(key, ttl),
    certificateOf,
    clock,
  });

  // A shared secret signs access tokens alone.
  const hasIdTokens = signingKeys.algorithms.length > 0;
  const responseModes = RESPONSE_MODES.filter((mode) => hasIdTokens || !mode.endsWith('jwt'));
  const audiences = audiencesOf({
    resources: resolved.resources,
    defaultAudience,
    multiple: resolved.multipleAudiences,
    hasIdTokens,
  });
  const loadUser = userLoader(resolved.loadUser);
  const userClaims = userClaimsOf(resolved.userClaims);
  const issue = tokenIssuer({
    issuer,
    accessTokens,
    idTokens,
    subjects,
    audiences,
    policies,
    clock,
    claims: resolved.claims,
    beforeIssueToken: resolved.beforeIssueToken,
    tokenResponse: resolved.tokenResponse,
    loadUser,
    userClaims,
  });
  const shared = {
    store,
    grantTokens,
    idTokens,
    issue,
    policies,
    clock,
    reporter,
    audiences,
    subjects,
    frame,
    providers,
    responseModes,
    anonymousSubject: subjectMaker(resolved.anonymousSubject),
  };
  const grantTypes = [
    authorizationCodeGrant(shared),
    refreshTokenGrant(shared),
    clientCredentialsGrant(shared),
    ...Object.entries(resolved.grants).map(([name, decide]) => extensionGrant(name, decide, shared)),
  ];
  const signOut = signOutOf({ ...shared, issuer, registry, signingKeys, send });

  const page = pageLayout(resolved.branding);
  const respond = errorResponse(page, frame, resolved.errorPage);
  const { authenticate, loginUrl, endSession } = resolved;
  const resumed = resumption({
    authorizeUrl: url('authorize'),
    asPath: typeof loginUrl === 'string' && loginUrl.startsWith('/'),
    sealer: sealerFor('resumption'),
    store,
    clock,
  });
  const pushed = pushedRequests({ store, sealer: sealerFor('pushed request'), clock });
  const requestObjects = requestObjectsOf({ issuer, registry, keySetOf, clock });
  const upstreams = new Map(
    [...providers].map(([providerId, provider]) => {
      const redirectUri = `${url('callback')}/${providerId}`;
      return [providerId, upstream(providerId, provider, { redirectUri, allowHttp, clock })];
    }),
  );
  const binding = browserBinding(authenticator(deriveKeys(secrets, 'browser', issuer)), {
    https: issuer.startsWith('https:'),
  });
  const transactions = providerTransactions({ binding, sealer: sealerFor('federation'), store });
  const linkTickets = linkTicketsOf({ issuer, sealer: sealerFor('link ticket'), store, clock });
  const { linkScope, linkWithAccessTokens } = resolved;
  const linkOptions = { defaultAudience, linkScope, linkTickets, status };
  const linkTokens = linkTokensOf({ ...linkOptions, issuer, linkWithAccessTokens, accessTokens, loadUser });
  const providerTokens = providerTokenStore({
    upstreams,
    sealer: sealerFor('provider tokens'),
    store,
    clock,
    reporter,
  });
  const consentSealer = sealerFor('consent');
  const authorizationOptions = {
    ...shared,
    registry,
    identification,
    allowHttp,
    respond,
    pushed,
    requestObjects,
    resumption: resumed,
    answer: authorizationResponse({ issuer, signingKeys, policies, clock }),
    providerSignIn: providerSignInOf({
      ...shared,
      upstreams,
      resolveUser: resolved.resolveUser,
      transactions,
      binding,
      authenticate,
      defaultAudience,
      linkTokens,
      providerTokens,
    }),
    outOfBand: outOfBand({
      ...shared,
      issuer,
      headerSubject: resolved.headerSubject,
      hasAnonymousSubjects: resolved.anonymousSubject !== undefined,
      page,
      respond,
    }),
    signIn: signIn({ ...shared, authenticate, loginUrl, resumption: resumed, page }),
    consent: consentStep({
      ...shared,
      consentUrl: url('consent'),
      defaultAudience,
      scopes: resolved.scopes,
      handler: resolved.consent,
      sealer: consentSealer,
      resumption: resumed,
      page,
    }),
  };
  const authorize = authorization(authorizationOptions);
  const scopes = [
    ...(hasIdTokens ? ['openid'] : []),
    ...Object.keys(resolved.scopes),
    ...registry.fixed.flatMap(({ client }) => client.scope),
    ...resolved.resources.flatMap((resource) => resource.scopes ?? []),
  ];
  const metadata = metadataEndpoint({
    issuer,
    grantTypes: grantTypes.map(({ name }) => name),
    scopes: [...new Set(scopes)],
    authenticationMethods: authentication.methods,
    signingAlgorithms: signingKeys.algorithms,
    responseModes,
    hasUserClaims: resolved.userClaims !== undefined,
    hasPairwise: resolved.pairwiseSecret !== undefined,
    hasLogout: endSession !== undefined,
    hasBackchannelLogout: hasIdTokens && resolved.adapter.listGrants !== undefined,
    hasCertificates: clientCertificate !== undefined,
    frame,
  });
  const tokenChecks = {
    read: (token: string) => accessTokens.read(token),
    possession,
    requireNonce: noncePolicy === 'always',
    clock,
  };
  const userinfoCheck = tokenCheck({
    ...tokenChecks,
    // Whatever its audience is: what it opens is this server's.
    read: (token) => accessTokens.read(token, defaultAudience),
    urlOf: () => url('userinfo'),
  });
  const apiCheck = tokenCheck({ ...tokenChecks, urlOf: resolved.resourceUrl ?? requestUrl(issuer) });
  const clientEndpoints = { ...shared, issuer, registry, authentication, possession, allowHttp };

  const authorizationHandler = authorizationEndpoint({ ...authorizationOptions, authorize });
  const endpoints = new Map<string, RequestHandler>([
    [PATHS.authorize, authorizationHandler],
    [
      PATHS.consent,
      consentEndpoint({ ...shared, authorize, sealer: consentSealer, resumption: resumed, respond }),
    ],
    [
      PATHS.par,
      pushedAuthorizationEndpoint({ ...clientEndpoints, pushUrl: url('par'), requestObjects, pushed }),
    ],
    [
      PATHS.token,
      tokenEndpoint({
        ...clientEndpoints,
        tokenUrl: url('token'),
        grantTypes,
        engine: tokenEngine(grantTypes),
      }),
    ],
    [PATHS.userinfo, userinfoEndpoint({ ...shared, check: userinfoCheck, status, loadUser, userClaims })],
    [PATHS.revoke, revocationEndpoint({ ...clientEndpoints, accessTokens })],
    [PATHS.introspect, introspectionEndpoint({ ...clientEndpoints, status, accessTokens })],
    [PATHS.jwks, jwksEndpoint(signingKeys, frame)],
    [PATHS.metadata, metadata],
    [PATHS.discovery, metadata],
  ]);
  if (endSession) {
    const logoutOptions = { ...shared, registry, authenticate, endSession, signOut, page, respond };
    const logout = logoutEndpoint({
      ...logoutOptions,
      logoutUrl: url('logout'),
      sealer: sealerFor('logout'),
    });
    endpoints.set(PATHS.logout, logout);
  }
  const ofProvider = new Map<string, RequestHandler>();
  if (providers.size > 0) {
    const check = tokenCheck({ ...tokenChecks, urlOf: () => url('linkTickets') });
    endpoints.set(PATHS.linkTickets, linkTicketsEndpoint({ ...linkOptions, check, linkTokens, frame }));
    ofProvider.set(PATHS.authorize, authorizationHandler);
    ofProvider.set(PATHS.callback, callbackEndpoint({ authorize, transactions, frame, respond }));
  }
  // One look-up, where a route for each endpoint would match their patterns in turn for every request.
  const router = Router().use(function oauth(req, res, next) {
    const endpoint = endpoints.get(req.path) ?? ofProvider.get(providerPath(req.path)?.base ?? '');
    if (endpoint) endpoint(req, res, next);
    else next();
  });

  const sealClientSecret = (secret: string): string => {
    // RFC 7518 §3.2
    if (Buffer.byteLength(secret) < 32)
      throw new RangeError('a secret of client_secret_jwt has at least 32 bytes');
    return secretSealer.seal(secret);
  };
  return Object.assign(
    router,
    operations({
      issuer,
      defaultAudience,
      store,
      accessTokens,
      algorithmsOf: algorithms.of,
      signOut,
      sealClientSecret,
      providerTokens,
      clock,
      reporter,
    }),
    {
      wellKnown: wellKnownRouter(issuer, metadata),
      requireToken: requireTokenFactory({
        check: apiCheck,
        defaultAudience,
        isLive: async (claims) => (await status(claims)) !== undefined,
        frame,
      }),
      events: reporter.events,
      isResumeUrl: resumed.isResumeUrl,
    },
  );
}
