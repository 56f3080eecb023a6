import { randomBytes } from 'node:crypto';

import type { ClientMetadata } from '../adapters/contract';
import { invalidClientMetadata } from '../errors';
import type { Sealer } from '../tokens/keys';
import { generateClientSecret } from './secret-hashes';

/** The method of a client that names none (RFC 7591 §2). */
export const DEFAULT_METHOD = 'client_secret_basic';

const SECRET_METHODS: readonly unknown[] = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt'];

/** Whether clients with an authentication method have a secret. */
export function hasSecret(method: unknown): boolean {
  return SECRET_METHODS.includes(method ?? DEFAULT_METHOD);
}

/** Creates an id. It does not begin with a hyphen, which a shell's command would take for an option. */
export function newClientId(): string {
  const clientId = randomBytes(32).toString('base64url');
  return clientId.startsWith('-') ? newClientId() : clientId;
}

/** Credentials that have just been created. */
export interface NewCredentials {
  /** The members to store. */
  readonly stored: Partial<ClientMetadata>;
  /** The secret, to tell once. */
  readonly clientSecret: string | undefined;
}

/**
 * Creates the secret of a client whose method needs one, in the form that is stored. A client that has not chosen a method may send its
 * secret in either way.
 *
 * @throws OAuthError `invalid_client_metadata` for a method that is not a string
 */
export function newCredentials(given: unknown, sealer: Pick<Sealer, 'seal'>): NewCredentials {
  if (typeof given === 'object' && given !== null)
    throw invalidClientMetadata('token_endpoint_auth_method must be a string');
  const stored = (
    given === undefined || given === null ? {} : { tokenEndpointAuthMethod: given }
  ) as Partial<ClientMetadata>;
  if (!hasSecret(given)) return { stored, clientSecret: undefined };
  const { clientSecret, clientSecretHash } = generateClientSecret();
  return given === 'client_secret_jwt'
    ? { stored: { ...stored, clientSecretSealed: sealer.seal(clientSecret) }, clientSecret }
    : { stored: { ...stored, clientSecretHash }, clientSecret };
}
