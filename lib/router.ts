import type { RequestHandler, Router } from 'express';

import { createCallbackEndpoint } from './authorization/callback-endpoint';
import { createConsentEndpoint } from './authorization/consent-endpoint';
import { createAuthorizationEndpoint } from './authorization/endpoint';
import { createLinkEndpoint } from './authorization/link-endpoint';
import { createPushedRequestEndpoint } from './authorization/pushed-request-endpoint';
import { createIntrospectionEndpoint } from './endpoints/introspection';
import { createJwksEndpoint } from './endpoints/jwks';
import { createMetadataEndpoint, createWellKnownRouter } from './endpoints/metadata';
import { WELL_KNOWN_PATHS } from './endpoints/paths';
import { createRevocationEndpoint } from './endpoints/revocation';
import { createUserinfoEndpoint } from './endpoints/userinfo';
import type { OAuthEvents } from './event-reporter';
import { PROVIDER_ID } from './federation/provider';
import type { OAuthUser } from './host/user';
import { createLinkTicketEndpoint } from './linking/endpoint';
import { createLogoutEndpoint } from './logout/endpoint';
import { createOperations, type Operations } from './operations';
import type { OAuthRouterOptions } from './options/options';
import { resolveOptions } from './options/resolve';
import { createRegistrationEndpoint } from './registration/endpoint';
import { createManagementEndpoint } from './registration/management-endpoint';
import { REGISTERED_CLIENT_ID } from './registration/register';
import { createMcpTokenVerifier, type CreateMcpTokenVerifier } from './resource/mcp';
import { createResourceMetadataEndpoint } from './resource/metadata-endpoint';
import { createRequireToken, type RequireToken } from './resource/require-token';
import { createVerifyToken, type VerifyToken } from './resource/verify-token';
import { createServer, type Server } from './server';
import { createTokenEndpoint } from './token/endpoint';

/** The router, a middleware for `app.use()`, with the functions that belong to it. */
export interface OAuthRouter extends RequestHandler, Operations {
  /**
   * The router for the origin's root: `app.use(oauth.wellKnown)`. It serves the metadata of the server (RFC 8414 §3.1) and of its
   * `resources` (RFC 9728 §3.1).
   */
  readonly wellKnown: Router;
  /** Creates a middleware that requires an access token of this server, and sets `req.oauth` (RFC 6750). */
  readonly requireToken: RequireToken;
  /** Verifies an access token of this server outside of a route. */
  readonly verifyToken: VerifyToken;
  /** Creates a verifier for `requireBearerAuth` of the MCP SDK. */
  readonly mcpTokenVerifier: CreateMcpTokenVerifier;
  /** The events, for logs and alarms. */
  readonly events: OAuthEvents;
  /**
   * Whether a URL continues an authorization request here. A login page must check its `return_to` with this function; otherwise
   * it would redirect to any URL that an attacker chooses.
   */
  isResumeUrl(url: unknown): url is string;
}

/** @throws OAuthConfigurationError that lists every fault of the options */
export function createOAuthRouter<User extends OAuthUser, LoadedUser = User>(
  options: OAuthRouterOptions<User, LoadedUser>,
): OAuthRouter {
  const server = createServer(resolveOptions(options));
  const { endpoints, memberEndpoints, metadata } = createEndpoints(server);

  // One lookup. A router of Express would match the patterns of its routes one after the other for every request.
  const checkMount = createMountCheck(server);
  const router: RequestHandler = function oauth(req, res, next) {
    checkMount(req.baseUrl);
    const { path } = req;
    const endpoint = endpoints.get(path);
    if (endpoint) {
      // Those of the path at which the host has mounted the router are none of ours.
      req.params = {};
      return endpoint(req, res, next);
    }
    const slash = path.lastIndexOf('/');
    const member = memberEndpoints.get(path.slice(0, slash));
    const id = path.slice(slash + 1);
    if (!member?.pattern.test(id)) return next();
    req.params = { [member.parameter]: id };
    member.endpoint(req, res, next);
  };

  const { issuer, apiCheck: check, possession, readRequirements, resourceMetadata } = server;
  const { frame, reporter, resuming } = server;
  return Object.assign(router, createOperations(server), {
    wellKnown: createWellKnownRouter(
      issuer,
      metadata,
      createResourceMetadataEndpoint(resourceMetadata, frame),
    ),
    requireToken: createRequireToken({ check, readRequirements, frame }),
    verifyToken: createVerifyToken({ check, readRequirements, possession }),
    mcpTokenVerifier: createMcpTokenVerifier({ check, readRequirements }),
    events: reporter.events,
    isResumeUrl: resuming.isResumeUrl,
  });
}

/** Creates a function that says once if the router is mounted at another path than the issuer's. */
function createMountCheck({ issuer, reporter }: Server): (baseUrl: string) => void {
  const expected = new URL(issuer).pathname.replace(/\/$/, '');
  let isChecked = false;
  return (baseUrl) => {
    if (isChecked) return;
    isChecked = true;
    // Express matches paths regardless of case.
    if (baseUrl.toLowerCase() === expected.toLowerCase()) return;
    const [at, path] = [baseUrl, expected].map((prefix) => prefix || '/');
    reporter.warn(
      `the router is mounted at ${at ?? ''}, but the path of the issuer is ${path ?? ''}: unless a proxy rewrites paths, its URLs lead nowhere`,
    );
  };
}

type Endpoints = Map<string, RequestHandler>;

/** An endpoint whose path ends with the id of something. */
interface MemberEndpoint {
  readonly endpoint: RequestHandler;
  readonly pattern: RegExp;
  /** The name of the id in `req.params`. */
  readonly parameter: string;
}

/** Creates the endpoints by path; those that end with an id by the path before it. */
function createEndpoints(server: Server) {
  const { url, paths, endSession, providers, registration } = server;
  const authorization = createAuthorizationEndpoint(server);
  const metadata = createMetadataEndpoint(server);
  const endpoints: Endpoints = new Map([
    [paths.authorize, authorization],
    [paths.consent, createConsentEndpoint(server)],
    [paths.par, createPushedRequestEndpoint({ ...server, parUrl: url('par') })],
    [paths.token, createTokenEndpoint({ ...server, tokenUrl: url('token') })],
    [paths.userinfo, createUserinfoEndpoint(server)],
    [paths.revoke, createRevocationEndpoint(server)],
    [paths.introspect, createIntrospectionEndpoint(server)],
    [paths.jwks, createJwksEndpoint(server)],
    ...WELL_KNOWN_PATHS.map((path): [string, RequestHandler] => [path, metadata]),
  ]);
  if (endSession)
    endpoints.set(paths.logout, createLogoutEndpoint({ ...server, endSession, logoutUrl: url('logout') }));

  const memberEndpoints = new Map<string, MemberEndpoint>();
  if (providers.size > 0) {
    const ofProvider = { pattern: PROVIDER_ID, parameter: 'providerId' };
    endpoints.set(paths.linkTickets, createLinkTicketEndpoint(server));
    endpoints.set(paths.link, createLinkEndpoint(server));
    memberEndpoints.set(paths.authorize, { endpoint: authorization, ...ofProvider });
    memberEndpoints.set(paths.callback, { endpoint: createCallbackEndpoint(server), ...ofProvider });
  }
  if (registration) {
    const endpoint = createManagementEndpoint({ ...server, ...registration });
    endpoints.set(paths.register, createRegistrationEndpoint({ ...server, ...registration }));
    memberEndpoints.set(paths.register, { endpoint, pattern: REGISTERED_CLIENT_ID, parameter: 'clientId' });
  }
  return { endpoints, memberEndpoints, metadata };
}
