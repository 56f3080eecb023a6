import type { ClientAuthenticationMethodName, ClientMetadata, PreviousSecret } from '../adapters/contract';

/** A client in the options: {@link ClientMetadata} with the secret itself, if it has one. */
export interface ClientOptions extends ClientMetadata {
  /** The secret, or several while a secret is being replaced. The router hashes it, or seals it for `client_secret_jwt`. */
  clientSecret?: string | readonly string[] | undefined;
}

/** The metadata of a client without its secrets, in any form, and without the mark of its last change. */
export type PublicMetadata = Omit<
  ClientMetadata,
  'clientSecretHash' | 'clientSecretSealed' | 'previousSecrets' | 'revision'
>;

/** A client with every default filled in, as hooks receive it. */
export interface Client {
  /** `client_id`. */
  readonly clientId: string;
  /** The name on the consent page. */
  readonly clientName: string;
  /** The registered redirect URIs. */
  readonly redirectUris: readonly string[];
  /** The grant types that the client is registered for. */
  readonly grantTypes: readonly string[];
  /** The scope values that the client may request. */
  readonly scope: readonly string[];
  /** The scope values that the client may request by name only. */
  readonly optionalScope: readonly string[];
  /** How the client authenticates. */
  readonly tokenEndpointAuthMethod: ClientAuthenticationMethodName;
  /** Whether the client has credentials (RFC 6749 §2.1). */
  readonly confidential: boolean;
  /** Whether the client is the host's own app, which needs no consent. */
  readonly firstParty: boolean;
  /** Whether nobody here has checked what the client says of itself. */
  readonly selfAsserted: boolean;
  /** Whether the client must use PKCE. */
  readonly requirePkce: boolean;
  /** The client's own setting for the rotation of refresh tokens. */
  readonly refreshTokenRotation: 'always' | 'never' | undefined;
  /** Grants from before this moment are void; 0 if there is none. Epoch seconds. */
  readonly grantsNotBefore: number;
  /** The audiences whose access tokens the client may introspect. */
  readonly introspectionAudiences: readonly string[];
  /** Whether the client follows the FAPI 2.0 security profile. */
  readonly fapi: boolean;
  /** Whether the client gets access tokens only with a DPoP proof. */
  readonly dpopBoundAccessTokens: boolean;
  /** Whether the client's access tokens are bound to its certificate. */
  readonly tlsClientCertificateBoundAccessTokens: boolean;
  /** Whether the client must push its authorization requests. */
  readonly requirePushedAuthorizationRequests: boolean;
  /** Whether the client must sign its authorization requests. */
  readonly requireSignedRequestObject: boolean;
  /** The kind of `sub` that the client sees. */
  readonly subjectType: 'public' | 'pairwise';
  /** The sector of pairwise subjects: a host. */
  readonly sector: string;
  /** The client's own setting for which grants get a refresh token. */
  readonly refreshTokens: 'always' | 'offline_access' | undefined;
  /** The URIs that the browser may go to after signing out. */
  readonly postLogoutRedirectUris: readonly string[];
  /** The URI that is notified when a session ends. */
  readonly backchannelLogoutUri: string | undefined;
  /** The client's publishable keys. */
  readonly publishableKeys: readonly string[];
  /** Whether every request needs a publishable key. */
  readonly requirePublishableKey: boolean;
  /** Whether a publishable key may be `client_secret` in the query of `/authorize`. */
  readonly publishableKeyInQuery: boolean;
  /** Whether authorization responses have `iss`. */
  readonly authorizationResponseIss: boolean;
  /** Whether authorization requests may be answered with JSON instead of a redirect. */
  readonly jsonRedirects: boolean;
  /** Pages of the client that no code is sent to. */
  readonly landingUris: readonly string[];
  /** How the client gets codes without a redirect, if it does. */
  readonly outOfBand: 'page' | 'json' | undefined;
  /** The metadata as registered, without secrets. */
  readonly metadata: Readonly<PublicMetadata>;
}

/** {@link Client} with its credentials, which only client authentication may see. */
export interface ClientRecord {
  readonly client: Client;
  /** The authentication methods that are accepted: the registered one, or both with a secret if none was chosen. */
  readonly methods: readonly ClientAuthenticationMethodName[];
  readonly secretHashes: readonly string[];
  readonly sealedSecrets: readonly string[];
  readonly previousSecrets: readonly PreviousSecret[];
  readonly jwks: ClientMetadata['jwks'];
  readonly jwksUri: string | undefined;
}

/** The members that can name the subject of the client's certificate; a client has exactly one of them (RFC 8705 §2.1.2). */
export const CERTIFICATE_SUBJECTS = [
  'tlsClientAuthSubjectDn',
  'tlsClientAuthSanDns',
  'tlsClientAuthSanUri',
  'tlsClientAuthSanIp',
  'tlsClientAuthSanEmail',
] as const;

/** RFC 6749 appendix A.1 */
export const CLIENT_ID = /^[\x20-\x7e]{1,255}$/;
/** RFC 6749 appendix A.4: one or more scope values */
export const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/;

/** Returns the id that a request claims, for events, if it can be the id of a client: nothing else from a request is logged. */
export function claimedClientId(claimed: string | undefined): string | undefined {
  return claimed !== undefined && CLIENT_ID.test(claimed) ? claimed : undefined;
}

export function asList(value: string | readonly string[] = []): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}

/** Fills in the defaults of a checked client. */
export function clientRecord(metadata: ClientMetadata): ClientRecord {
  const client = resolveClient(metadata);
  const { tokenEndpointAuthMethod: method } = client;
  const isChosen = metadata.tokenEndpointAuthMethod !== undefined;
  return {
    client,
    methods: method === 'client_secret_basic' && !isChosen ? [method, 'client_secret_post'] : [method],
    secretHashes: asList(metadata.clientSecretHash),
    sealedSecrets: asList(metadata.clientSecretSealed),
    previousSecrets: metadata.previousSecrets ?? [],
    jwks: metadata.jwks,
    jwksUri: metadata.jwksUri,
  };
}

/** Adds the secrets that are being replaced, and still accepted. `now` is in epoch milliseconds. */
export function withPreviousSecrets(record: ClientRecord, now: number): ClientRecord {
  const accepted = record.previousSecrets.filter(({ expiresAt }) => now < expiresAt * 1000);
  if (accepted.length === 0) return record;
  const hashes = accepted.flatMap(({ clientSecretHash }) => clientSecretHash ?? []);
  const sealed = accepted.flatMap(({ clientSecretSealed }) => clientSecretSealed ?? []);
  return {
    ...record,
    secretHashes: [...record.secretHashes, ...hashes],
    sealedSecrets: [...record.sealedSecrets, ...sealed],
  };
}

export function resolveClient(metadata: ClientMetadata): Client {
  const method = metadata.tokenEndpointAuthMethod ?? defaultMethod(metadata);
  const fapi = metadata.securityProfile === 'fapi2';
  const certificateBound = metadata.tlsClientCertificateBoundAccessTokens ?? false;
  // Frozen, because hooks receive it and must not change the next request.
  return Object.freeze({
    clientId: metadata.clientId,
    clientName: metadata.clientName ?? metadata.clientId,
    redirectUris: frozen(metadata.redirectUris),
    grantTypes: frozen(metadata.grantTypes ?? ['authorization_code', 'refresh_token']),
    scope: frozen(scopeValues(metadata.scope)),
    optionalScope: frozen(scopeValues(metadata.optionalScope)),
    tokenEndpointAuthMethod: method,
    confidential: method !== 'none',
    firstParty: metadata.firstParty ?? false,
    selfAsserted: metadata.selfAsserted ?? false,
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
    authorizationResponseIss: metadata.authorizationResponseIss ?? true,
    jsonRedirects: metadata.jsonRedirects ?? false,
    landingUris: frozen(metadata.landingUris),
    outOfBand: metadata.outOfBand,
    metadata: Object.freeze({
      ...metadata,
      clientSecretHash: undefined,
      clientSecretSealed: undefined,
      previousSecrets: undefined,
      revision: undefined,
    }),
  });
}

function defaultMethod(metadata: ClientMetadata): ClientAuthenticationMethodName {
  if (metadata.clientSecretHash) return 'client_secret_basic';
  if (metadata.clientSecretSealed) return 'client_secret_jwt';
  if (CERTIFICATE_SUBJECTS.some((name) => metadata[name] !== undefined)) return 'tls_client_auth';
  return metadata.jwks || metadata.jwksUri ? 'private_key_jwt' : 'none';
}

/**
 * Returns the sector of pairwise subjects, or an empty string if the redirect URIs do not have exactly one host (OpenID Connect
 * Core §8.1).
 */
function sectorOf({ sectorIdentifierUri, redirectUris = [] }: ClientMetadata): string {
  const uris = sectorIdentifierUri === undefined ? redirectUris : [sectorIdentifierUri];
  const hosts = new Set(uris.map((uri) => (URL.canParse(uri) ? new URL(uri).hostname : '')));
  const [only = '', ...others] = hosts;
  return others.length === 0 ? only : '';
}

function frozen(values: readonly string[] = []): readonly string[] {
  return Object.freeze([...values]);
}

/** Splits a `scope` string into its distinct values. */
export function scopeValues(scope: string | undefined): string[] {
  if (!scope?.includes(' ')) return scope ? [scope] : [];
  return [...new Set(scope.split(' ').filter((value) => value !== ''))];
}

/** The scope value that asks for refresh tokens (OpenID Connect Core §11). */
export const OFFLINE_ACCESS = 'offline_access';

/** Whether a client may get a scope value: one that it is registered for, or `offline_access` with the grant type of refresh tokens. */
export function mayHaveScope({ scope, optionalScope, grantTypes }: Client, value: string): boolean {
  if (scope.includes(value) || optionalScope.includes(value)) return true;
  return value === OFFLINE_ACCESS && grantTypes.includes('refresh_token');
}

export function isScope(scope: string): boolean {
  return SCOPE.test(scope);
}
