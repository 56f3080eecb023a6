import type { ClientAuthenticationMethodName, ClientMetadata } from '../adapters/contract';

/** A client in the options: as {@link ClientMetadata}, with the secret itself if it has one. */
export interface ClientOptions extends ClientMetadata {
  /** Hashed when the router is made, or sealed for `client_secret_jwt`. Several while a secret is being changed. */
  clientSecret?: string | readonly string[];
}

/** A client with every default filled in: what hooks get. */
export interface Client {
  readonly clientId: string;
  readonly clientName: string;
  readonly redirectUris: readonly string[];
  readonly grantTypes: readonly string[];
  readonly scope: readonly string[];
  readonly tokenEndpointAuthMethod: ClientAuthenticationMethodName;
  /** It has credentials of its own (RFC 6749 §2.1). */
  readonly confidential: boolean;
  readonly firstParty: boolean;
  readonly requirePkce: boolean;
  readonly refreshTokenRotation: 'always' | 'never' | undefined;
  /** Epoch seconds; 0 if there is none. */
  readonly grantsNotBefore: number;
  readonly introspectionAudiences: readonly string[];
  /** It follows the FAPI 2.0 security profile. */
  readonly fapi: boolean;
  readonly dpopBoundAccessTokens: boolean;
  readonly tlsClientCertificateBoundAccessTokens: boolean;
  readonly requirePushedAuthorizationRequests: boolean;
  readonly requireSignedRequestObject: boolean;
  readonly subjectType: 'public' | 'pairwise';
  /** The sector of pairwise subjects: a host. */
  readonly sector: string;
  readonly refreshTokens: 'always' | 'offline_access' | undefined;
  readonly postLogoutRedirectUris: readonly string[];
  readonly backchannelLogoutUri: string | undefined;
  readonly publishableKeys: readonly string[];
  readonly requirePublishableKey: boolean;
  readonly publishableKeyInQuery: boolean;
  readonly outOfBand: 'page' | 'json' | undefined;
  /** The client as it was given, without its secrets. */
  readonly metadata: Readonly<Omit<ClientMetadata, 'clientSecretHash' | 'clientSecretSealed'>>;
}

/** {@link Client} with what only client authentication may see. */
export interface ClientRecord {
  readonly client: Client;
  readonly secretHashes: readonly string[];
  readonly sealedSecrets: readonly string[];
  readonly jwks: ClientMetadata['jwks'];
  readonly jwksUri: string | undefined;
}

/** The members of which one says whose certificate it is (RFC 8705 §2.1.2). */
export const CERTIFICATE_SUBJECTS = [
  'tlsClientAuthSubjectDn',
  'tlsClientAuthSanDns',
  'tlsClientAuthSanUri',
  'tlsClientAuthSanIp',
  'tlsClientAuthSanEmail',
] as const;

/** RFC 6749 appendix A.1 */
export const CLIENT_ID = /^[\x20-\x7e]{1,255}$/;
/** RFC 6749 appendix A.4, one or more of them */
export const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/;
export function asList(value: string | readonly string[] = []): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}

/** Fills in the defaults of a client that was checked. */
export function clientRecord(metadata: ClientMetadata): ClientRecord {
  return {
    client: resolveClient(metadata),
    secretHashes: asList(metadata.clientSecretHash),
    sealedSecrets: asList(metadata.clientSecretSealed),
    jwks: metadata.jwks,
    jwksUri: metadata.jwksUri,
  };
}

export function resolveClient(metadata: ClientMetadata): Client {
  const method = metadata.tokenEndpointAuthMethod ?? defaultMethod(metadata);
  const fapi = metadata.securityProfile === 'fapi2';
  const certificateBound = metadata.tlsClientCertificateBoundAccessTokens ?? false;
  // Hooks get it, and what they do to it must not reach the next request.
  return Object.freeze({
    clientId: metadata.clientId,
    clientName: metadata.clientName ?? metadata.clientId,
    redirectUris: frozen(metadata.redirectUris),
    grantTypes: frozen(metadata.grantTypes ?? ['authorization_code', 'refresh_token']),
    scope: frozen(scopeValues(metadata.scope)),
    tokenEndpointAuthMethod: method,
    confidential: method !== 'none',
    firstParty: metadata.firstParty ?? false,
    requirePkce: metadata.requirePkce ?? true,
    refreshTokenRotation: fapi ? 'never' : metadata.refreshTokenRotation,
    grantsNotBefore: metadata.grantsNotBefore ?? 0,
    introspectionAudiences: frozen(metadata.introspectionAudiences),
    fapi,
    dpopBoundAccessTokens: metadata.dpopBoundAccessTokens ?? (fapi && !certificateBound),
    tlsClientCertificateBoundAccessTokens: certificateBound,
    requirePushedAuthorizationRequests: metadata.requirePushedAuthorizationRequests ?? fapi,
    requireSignedRequestObject: metadata.requireSignedRequestObject ?? false,
    subjectType: metadata.subjectType ?? 'public',
    sector: sectorOf(metadata),
    refreshTokens: metadata.refreshTokens,
    postLogoutRedirectUris: frozen(metadata.postLogoutRedirectUris),
    backchannelLogoutUri: metadata.backchannelLogoutUri,
    publishableKeys: frozen(metadata.publishableKeys),
    requirePublishableKey: metadata.requirePublishableKey ?? false,
    publishableKeyInQuery: metadata.publishableKeyInQuery ?? false,
    outOfBand: metadata.outOfBand,
    metadata: Object.freeze({ ...metadata, clientSecretHash: undefined, clientSecretSealed: undefined }),
  });
}

function defaultMethod(metadata: ClientMetadata): ClientAuthenticationMethodName {
  if (metadata.clientSecretHash) return 'client_secret_basic';
  if (metadata.clientSecretSealed) return 'client_secret_jwt';
  if (CERTIFICATE_SUBJECTS.some((name) => metadata[name] !== undefined)) return 'tls_client_auth';
  return metadata.jwks || metadata.jwksUri ? 'private_key_jwt' : 'none';
}

/** OpenID Connect Core §8.1; empty if the redirect URIs have not one host. */
function sectorOf({ sectorIdentifierUri, redirectUris = [] }: ClientMetadata): string {
  const uris = sectorIdentifierUri === undefined ? redirectUris : [sectorIdentifierUri];
  const hosts = new Set(uris.map((uri) => (URL.canParse(uri) ? new URL(uri).hostname : '')));
  const [only = '', ...others] = hosts;
  return others.length === 0 ? only : '';
}

function frozen(values: readonly string[] = []): readonly string[] {
  return Object.freeze([...values]);
}

/** The values of a `scope` string, each once. */
export function scopeValues(scope: string | undefined): string[] {
  return scope ? [...new Set(scope.split(' '))] : [];
}

export function isScope(scope: string): boolean {
  return SCOPE.test(scope);
}
