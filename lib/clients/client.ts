import Joi from 'joi';

import type { ClientAuthenticationMethodName, ClientMetadata } from '../adapters/contract';
import { redirectUriFault } from './redirect-uris';
import { isSecretHash } from './secrets';

/** A client in the options: as {@link ClientMetadata}, with the secret itself if it has one. */
export interface ClientOptions extends ClientMetadata {
  /** Hashed when the router is made. Several while a secret is being changed. */
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
  /** The client as it was given, without its secrets. */
  readonly metadata: Readonly<Omit<ClientMetadata, 'clientSecretHash'>>;
}

/** {@link Client} with what only client authentication may see. */
export interface ClientRecord {
  readonly client: Client;
  readonly secretHashes: readonly string[];
}

/** RFC 6749 appendix A.1 */
export const CLIENT_ID = /^[\x20-\x7e]{1,255}$/;
/** RFC 6749 appendix A.4, one or more of them */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/;
/** A name, or an absolute URI (RFC 6749 appendix A.10). */
export const GRANT_TYPE = /^(?:[\w.-]+|[a-z][a-z0-9+.-]+:[\x21\x23-\x5b\x5d-\x7e]+)$/i;

const webUri = Joi.string().uri({ scheme: ['https', 'http'] });
const oneOrMore = (item: Joi.Schema): Joi.Schema => Joi.alternatives(item, Joi.array().items(item).min(1));
const secretHash = Joi.string().custom((value: string, { error }) =>
  isSecretHash(value) ? value : error('secret.hash'),
);

function redirectUri(allowHttp: boolean): Joi.Schema {
  return Joi.string().custom((value: string, { error }) => {
    const fault = redirectUriFault(value, { allowHttp });
    return fault ? error('redirect.fault', { fault }) : value;
  });
}

/** One schema for both: strict for the options, where an unknown key is a typo, tolerant for a host's records. */
function clientSchema(allowHttp: boolean): Joi.ObjectSchema {
  return Joi.object({
    clientId: Joi.string().pattern(CLIENT_ID, 'client_id').required(),
    clientName: Joi.string(),
    clientUri: webUri,
    logoUri: Joi.string().uri({ scheme: 'https' }),
    tosUri: webUri,
    policyUri: webUri,
    contacts: Joi.array().items(Joi.string()),
    redirectUris: Joi.array().items(redirectUri(allowHttp)),
    grantTypes: Joi.array()
      .items(Joi.string().pattern(GRANT_TYPE, 'grant type').invalid('password', 'implicit'))
      .min(1),
    responseTypes: Joi.array().items(Joi.valid('code')),
    scope: Joi.string().allow('').pattern(SCOPE, 'scope'),
    tokenEndpointAuthMethod: Joi.valid('none', 'client_secret_basic', 'client_secret_post'),
    clientSecretHash: oneOrMore(secretHash),
    // Stored in the clear it would be ignored, and the client taken for a public one.
    clientSecret: Joi.forbidden(),
    firstParty: Joi.boolean(),
    requirePkce: Joi.boolean(),
    refreshTokenRotation: Joi.valid('always', 'never'),
    // An instant in milliseconds would void all grants for thousands of years.
    grantsNotBefore: Joi.number().min(0).max(1e11),
    introspectionAudiences: Joi.array().items(Joi.string()),
  })
    .custom(crossChecks)
    .messages({
      'redirect.fault': '{{#label}} {{#fault}}',
      'secret.hash': '{{#label}} must come from generateClientSecret() or hashClientSecret()',
      'client.fault': '{{#label}} {{#fault}}',
      'any.unknown': '{{#label}} must not be stored: keep clientSecretHash',
    });
}

function crossChecks(value: ClientMetadata, { error }: Joi.CustomHelpers): ClientMetadata | Joi.ErrorReport {
  const client = resolve(value);
  const faults: [boolean, string][] = [
    [
      client.grantTypes.includes('authorization_code') && client.redirectUris.length === 0,
      'needs redirectUris',
    ],
    [
      client.confidential && secretHashesOf(value).length === 0,
      `needs a secret for ${client.tokenEndpointAuthMethod}`,
    ],
    [
      !client.confidential && secretHashesOf(value).length > 0,
      'has a secret, but tokenEndpointAuthMethod is none',
    ],
    [!client.confidential && !client.requirePkce, 'cannot do without PKCE: only a confidential client can'],
    [
      !client.confidential && client.refreshTokenRotation === 'never',
      'must rotate: only a confidential client can keep its refresh token',
    ],
    [
      !client.confidential && client.grantTypes.includes('client_credentials'),
      'cannot use client_credentials without credentials',
    ],
  ];
  const fault = faults.find(([applies]) => applies)?.[1];
  return fault ? error('client.fault', { fault }) : value;
}

/** @returns a function that checks a client, and gives its faults as sentences */
export function clientChecker({ allowHttp, strict }: { allowHttp: boolean; strict: boolean }) {
  const schema = clientSchema(allowHttp).unknown(!strict).label('client');
  return (metadata: unknown, label: string): string[] => {
    const { error } = schema.validate(metadata, { abortEarly: false, convert: false });
    return error?.details.map(({ message }) => `${label}: ${message}`) ?? [];
  };
}

function secretHashesOf({ clientSecretHash = [] }: ClientMetadata): readonly string[] {
  return typeof clientSecretHash === 'string' ? [clientSecretHash] : clientSecretHash;
}

/** Fills in the defaults of a client that was checked. */
export function clientRecord(metadata: ClientMetadata): ClientRecord {
  return { client: resolve(metadata), secretHashes: secretHashesOf(metadata) };
}

function resolve(metadata: ClientMetadata): Client {
  const { clientSecretHash, ...rest } = metadata;
  const method = metadata.tokenEndpointAuthMethod ?? (clientSecretHash ? 'client_secret_basic' : 'none');
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
    refreshTokenRotation: metadata.refreshTokenRotation,
    grantsNotBefore: metadata.grantsNotBefore ?? 0,
    introspectionAudiences: frozen(metadata.introspectionAudiences),
    metadata: Object.freeze(rest),
  });
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
