import type { ClientMetadata } from '../adapters/contract';
import { isJsonObject, withoutNulls } from '../json';

/** Metadata of a client in the names of RFC 7591 §2, as JSON. */
export type WireMetadata = Readonly<Record<string, unknown>>;

/** The members that a client may say of itself. All others are ignored (RFC 7591 §2). */
const NAMES = (
  'application_type authorization_signed_response_alg backchannel_logout_uri client_name client_uri contacts default_max_age ' +
  'dpop_bound_access_tokens grant_types id_token_signed_response_alg jwks jwks_uri logo_uri policy_uri post_logout_redirect_uris ' +
  'redirect_uris request_object_signing_alg require_pushed_authorization_requests require_signed_request_object response_types scope ' +
  'sector_identifier_uri software_id software_version subject_type tls_client_auth_san_dns tls_client_auth_san_email ' +
  'tls_client_auth_san_ip tls_client_auth_san_uri tls_client_auth_subject_dn tls_client_certificate_bound_access_tokens ' +
  'token_endpoint_auth_method token_endpoint_auth_signing_alg tos_uri'
).split(' ');

/** Converts metadata from the names of RFC 7591. A member that is `null` or an empty text counts as omitted. */
export function fromWire(wire: WireMetadata): Partial<ClientMetadata> {
  const known = withoutNulls(wire);
  const entries = NAMES.filter((name) => known[name] !== undefined && known[name] !== '').map((name) => [
    camelCase(name),
    known[name],
  ]);
  const given = Object.fromEntries(entries) as Partial<ClientMetadata>;
  const { responseTypes, jwks } = given;
  return {
    ...given,
    // The server may leave out values that it does not support (RFC 7591 §3.2.1).
    ...(Array.isArray(responseTypes) && responseTypes.includes('code') && { responseTypes: ['code'] }),
    ...(isJsonObject(jwks) && { jwks: { keys: jwks.keys } }),
  };
}

/** Converts metadata to the names of RFC 7591 §2. No member is `null`. */
export function toWire(client: ClientMetadata): WireMetadata {
  const known = client as unknown as Readonly<Record<string, unknown>>;
  const entries = NAMES.map((name) => [name, known[camelCase(name)]] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined && value !== null));
}

/** A client as another server has exported it. */
export interface ExportedClient extends Partial<ClientMetadata> {
  /** The secret itself. */
  clientSecret?: string;
}

/** Members in the names of RFC 7591 that a server decides: a client cannot say them of itself. */
const DECIDED = ['client_id', 'client_secret', 'client_id_issued_at'];

/**
 * Converts a client from the names of RFC 7591 and OpenID Connect Registration, as other servers export it. Unknown members are left
 * out, and so is a member that is `null` or an empty text. A `client_secret` is for `clients` of the options or
 * `oauth.clients.create()`, which hash it; it must not be stored.
 *
 * @see RFC 7591 §2
 */
export function fromRfc7591(metadata: WireMetadata): ExportedClient {
  const known = withoutNulls(metadata);
  const decided = DECIDED.filter((name) => known[name] !== undefined && known[name] !== '');
  return {
    ...fromWire(metadata),
    ...Object.fromEntries(decided.map((name) => [camelCase(name), known[name]])),
  };
}

/**
 * Converts a client to the names of RFC 7591 and OpenID Connect Registration. It has no secrets, and no members that only this library
 * has.
 *
 * @see RFC 7591 §3.2.1
 */
export function toRfc7591(client: ClientMetadata): WireMetadata {
  const { clientId, clientIdIssuedAt } = client;
  return {
    client_id: clientId,
    ...(clientIdIssuedAt !== undefined && { client_id_issued_at: clientIdIssuedAt }),
    ...toWire(client),
  };
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
