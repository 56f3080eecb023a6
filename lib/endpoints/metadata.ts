import { Router, type RequestHandler } from 'express';

import type { EventReporter } from '../events';
import { endpoint, writeJson } from '../http/endpoint';

/** The paths of the endpoints below the issuer. */
export const PATHS = {
  authorize: '/authorize',
  consent: '/consent',
  token: '/token',
  revoke: '/revoke',
  introspect: '/introspect',
  jwks: '/jwks',
  metadata: '/.well-known/oauth-authorization-server',
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
  reporter: EventReporter;
}

/** Authorization server metadata. @see RFC 8414 §2 and §3 */
export function metadataEndpoint(options: MetadataOptions): RequestHandler {
  const { issuer, grantTypes, scopes, authenticationMethods, reporter } = options;
  const body = {
    issuer,
    authorization_endpoint: endpointUrl(issuer, 'authorize'),
    token_endpoint: endpointUrl(issuer, 'token'),
    jwks_uri: endpointUrl(issuer, 'jwks'),
    revocation_endpoint: endpointUrl(issuer, 'revoke'),
    introspection_endpoint: endpointUrl(issuer, 'introspect'),
    // RFC 8414 §3.2: an empty list is left out.
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: grantTypes,
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: authenticationMethods,
    revocation_endpoint_auth_methods_supported: authenticationMethods,
    introspection_endpoint_auth_methods_supported: authenticationMethods.filter(
      (method) => method !== 'none',
    ),
    authorization_response_iss_parameter_supported: true,
  };
  return endpoint({ name: 'metadata', methods: ['GET'], head: true, cors: true, reporter }, (_req, res) => {
    res.setHeader('Cache-Control', 'public, max-age=300');
    writeJson(res, 200, body);
    return Promise.resolve();
  });
}

/** The router for the origin's root: RFC 8414 §3.1 puts the well-known part before the issuer's path. */
export function wellKnownRouter(issuer: string, metadata: RequestHandler): Router {
  const path = PATHS.metadata + new URL(issuer).pathname.replace(/\/$/, '');
  return Router().use((req, res, next) => {
    if (req.path === path) metadata(req, res, next);
    else next();
  });
}
