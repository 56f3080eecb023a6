import { Router, type RequestHandler } from 'express';

import { PROMPTS } from '../authorization/request';
import { STANDARD_CLAIMS } from '../host/standard-claims';
import { createEndpoint, writeJson, type EndpointFrame } from '../http/endpoint';
import { VERIFICATION_ALGORITHMS } from '../tokens/algorithms';
import { WELL_KNOWN_PATHS, type EndpointName } from './paths';

/** The features of a server that its metadata advertises. */
export interface MetadataFacts {
  issuer: string;
  url: (endpoint: EndpointName) => string;
  grantTypes: readonly string[];
  scopes: readonly string[];
  authenticationMethods: readonly string[];
  signingAlgorithms: readonly string[];
  responseModes: readonly string[];
  hasUserClaims: boolean;
  hasPairwise: boolean;
  hasLogout: boolean;
  hasBackchannelLogout: boolean;
  hasCertificates: boolean;
  acrValues: readonly string[];
  hasRegistration: boolean;
  hasMetadataDocuments: boolean;
}

/** Serves the authorization server metadata. @see RFC 8414 §3, OpenID Connect Discovery §4 */
export function createMetadataEndpoint(options: {
  metadataFacts: MetadataFacts;
  frame: EndpointFrame;
}): RequestHandler {
  const body = metadataOf(options.metadataFacts);
  return createEndpoint(
    options.frame,
    { name: 'metadata', methods: ['GET'], head: true, cors: true },
    function metadata(_req, res) {
      res.setHeader('Cache-Control', 'public, max-age=300');
      writeJson(res, 200, body);
      return Promise.resolve();
    },
  );
}

/** @see RFC 8414 §2, OpenID Connect Discovery §3 */
function metadataOf(facts: MetadataFacts): object {
  const { issuer, url, grantTypes, scopes, authenticationMethods, signingAlgorithms } = facts;
  const assertionAlgorithms = [...VERIFICATION_ALGORITHMS, 'HS256', 'HS384', 'HS512'];
  return {
    issuer,
    authorization_endpoint: url('authorize'),
    token_endpoint: url('token'),
    ...(facts.hasRegistration && { registration_endpoint: url('register') }),
    jwks_uri: url('jwks'),
    userinfo_endpoint: url('userinfo'),
    ...(facts.hasLogout && { end_session_endpoint: url('logout') }),
    pushed_authorization_request_endpoint: url('par'),
    revocation_endpoint: url('revoke'),
    introspection_endpoint: url('introspect'),
    // RFC 8414 §3.2: an empty list is left out.
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    response_types_supported: ['code'],
    response_modes_supported: facts.responseModes,
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
    subject_types_supported: ['public', ...(facts.hasPairwise ? ['pairwise'] : [])],
    claim_types_supported: ['normal'],
    claims_supported: ['sub', ...(facts.hasUserClaims ? STANDARD_CLAIMS : [])],
    ...(facts.acrValues.length > 0 && { acr_values_supported: facts.acrValues }),
    claims_parameter_supported: true,
    ...(facts.hasMetadataDocuments && { client_id_metadata_document_supported: true }),
    prompt_values_supported: PROMPTS,
    request_parameter_supported: true,
    request_uri_parameter_supported: false,
    request_object_signing_alg_values_supported: VERIFICATION_ALGORITHMS,
    dpop_signing_alg_values_supported: VERIFICATION_ALGORITHMS,
    tls_client_certificate_bound_access_tokens: facts.hasCertificates,
    ...(facts.hasBackchannelLogout && {
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
    }),
  };
}

/**
 * Creates the router for the origin's root. RFC 8414 §3.1 puts the well-known part before the issuer's path, OpenID Connect
 * Discovery §4 after it; clients request either document in either place. The metadata of resources is there too.
 */
export function createWellKnownRouter(
  issuer: string,
  metadata: RequestHandler,
  resourceMetadata: RequestHandler,
): Router {
  const issuerPath = new URL(issuer).pathname.replace(/\/$/, '');
  const paths = WELL_KNOWN_PATHS.flatMap((path) => [path + issuerPath, issuerPath + path]);
  return Router().use(function wellKnown(req, res, next) {
    if (paths.includes(req.path)) metadata(req, res, next);
    else resourceMetadata(req, res, next);
  });
}
