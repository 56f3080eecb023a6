import { Router, type RequestHandler } from 'express';

import { endpoint, writeJson, type EndpointFrame } from '../http/endpoint';
import { STANDARD_CLAIMS } from '../grants/user-claims';
import { VERIFICATION_ALGORITHMS } from '../tokens/algorithms';
import { PROMPTS } from './authorization-request';

/** The paths of the endpoints below the issuer. */
export const PATHS = {
  authorize: '/authorize',
  consent: '/consent',
  par: '/par',
  token: '/token',
  userinfo: '/userinfo',
  logout: '/logout',
  revoke: '/revoke',
  introspect: '/introspect',
  linkTickets: '/link_tickets',
  callback: '/callback',
  jwks: '/jwks',
  metadata: '/.well-known/oauth-authorization-server',
  discovery: '/.well-known/openid-configuration',
} as const;

/** The URL of an endpoint, from the issuer alone. */
export function endpointUrl(issuer: string, name: keyof typeof PATHS): string {
  return issuer.replace(/\/$/, '') + PATHS[name];
}

interface MetadataOptions {
  issuer: string;
  grantTypes: readonly string[];
  scopes: readonly string[];
  authenticationMethods: readonly string[];
  signingAlgorithms: readonly string[];
  responseModes: readonly string[];
  /** Whether there is somebody to give claims of users. */
  hasUserClaims: boolean;
  hasPairwise: boolean;
  hasLogout: boolean;
  hasBackchannelLogout: boolean;
  hasCertificates: boolean;
  frame: EndpointFrame;
}

/** Authorization server metadata. @see RFC 8414 §2 and §3, OpenID Connect Discovery §3 */
export function metadataEndpoint(options: MetadataOptions): RequestHandler {
  const { issuer, grantTypes, scopes, authenticationMethods, signingAlgorithms, frame } = options;
  const assertionAlgorithms = [...VERIFICATION_ALGORITHMS, 'HS256', 'HS384', 'HS512'];
  const body = {
    issuer,
    authorization_endpoint: endpointUrl(issuer, 'authorize'),
    token_endpoint: endpointUrl(issuer, 'token'),
    jwks_uri: endpointUrl(issuer, 'jwks'),
    userinfo_endpoint: endpointUrl(issuer, 'userinfo'),
    ...(options.hasLogout && { end_session_endpoint: endpointUrl(issuer, 'logout') }),
    pushed_authorization_request_endpoint: endpointUrl(issuer, 'par'),
    revocation_endpoint: endpointUrl(issuer, 'revoke'),
    introspection_endpoint: endpointUrl(issuer, 'introspect'),
    // RFC 8414 §3.2: an empty list is left out.
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    response_types_supported: ['code'],
    response_modes_supported: options.responseModes,
    grant_types_supported: grantTypes,
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: authenticationMethods,
    token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    revocation_endpoint_auth_methods_supported: authenticationMethods,
    revocation_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    introspection_endpoint_auth_methods_supported: authenticationMethods.filter(
      (method) => method !== 'none',
    ),
    introspection_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    authorization_response_iss_parameter_supported: true,
    ...(signingAlgorithms.length > 0 && { authorization_signing_alg_values_supported: signingAlgorithms }),
    ...(signingAlgorithms.length > 0 && { id_token_signing_alg_values_supported: signingAlgorithms }),
    subject_types_supported: ['public', ...(options.hasPairwise ? ['pairwise'] : [])],
    claim_types_supported: ['normal'],
    claims_supported: ['sub', ...(options.hasUserClaims ? STANDARD_CLAIMS : [])],
    claims_parameter_supported: true,
    prompt_values_supported: PROMPTS,
    request_parameter_supported: true,
    request_uri_parameter_supported: false,
    request_object_signing_alg_values_supported: VERIFICATION_ALGORITHMS,
    dpop_signing_alg_values_supported: VERIFICATION_ALGORITHMS,
    tls_client_certificate_bound_access_tokens: options.hasCertificates,
    ...(options.hasBackchannelLogout && {
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
    }),
  };
  return endpoint(frame, { name: 'metadata', methods: ['GET'], head: true, cors: true }, (_req, res) => {
    res.setHeader('Cache-Control', 'public, max-age=300');
    writeJson(res, 200, body);
    return Promise.resolve();
  });
}

/**
 * The router for the origin's root: RFC 8414 §3.1 puts the well-known part before the issuer's path. OpenID Connect
 * Discovery §4 puts it after, where the router itself answers; clients try either document in either place.
 */
export function wellKnownRouter(issuer: string, metadata: RequestHandler): Router {
  const issuerPath = new URL(issuer).pathname.replace(/\/$/, '');
  const paths = [PATHS.metadata, PATHS.discovery].flatMap((path) => [path + issuerPath, issuerPath + path]);
  return Router().use((req, res, next) => {
    if (paths.includes(req.path)) metadata(req, res, next);
    else next();
  });
}
