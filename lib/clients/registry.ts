import type { ClientMetadata } from '../adapters/contract';
import type { Store } from '../adapters/store';
import { serverError } from '../errors';
import {
  CERTIFICATE_SUBJECTS,
  CLIENT_ID,
  clientRecord,
  type ClientOptions,
  type ClientRecord,
} from './client';
import { createClientChecker } from './client-checks';
import { hashGeneratedSecret } from './secret-hashes';

/** Finds clients: first those of the options, without I/O, then the adapter's. */
export interface ClientRegistry {
  find(clientId: string): Promise<ClientRecord | undefined>;
  /** The clients of the options. */
  readonly fixed: readonly ClientRecord[];
}

interface RegistryOptions {
  clients: readonly ClientMetadata[];
  store: Pick<Store, 'getClient'>;
  allowHttp: boolean;
}

export function createClientRegistry({ clients, store, allowHttp }: RegistryOptions): ClientRegistry {
  const fixed = clients.map(clientRecord);
  const byId = new Map(fixed.map((record) => [record.client.clientId, record]));
  const check = createClientChecker({ allowHttp, strict: false });

  async function find(clientId: string): Promise<ClientRecord | undefined> {
    const known = byId.get(clientId);
    if (known || !CLIENT_ID.test(clientId)) return known;
    const stored = await store.getClient(clientId);
    if (stored === undefined || stored === null) return undefined;
    if (typeof stored !== 'object') throw serverError(new TypeError('getClient() must return an object'));
    const metadata = withoutNulls(stored);
    // A secret or key that was lost must not turn a confidential client into a public client.
    const lost = CREDENTIAL_MEMBERS.find((name) => name in stored && !metadata[name]);
    if (
      lost &&
      metadata.tokenEndpointAuthMethod === undefined &&
      !CREDENTIAL_MEMBERS.some((name) => metadata[name])
    ) {
      throw serverError(new Error(`a client with an empty ${lost} needs a tokenEndpointAuthMethod`));
    }
    const faults = check(metadata).map(({ message }) => message);
    if (faults.length > 0)
      throw serverError(new Error(`getClient() returned an invalid client: ${faults.join(', ')}`));
    // A database may compare without regard to case or trailing blanks.
    return metadata.clientId === clientId ? clientRecord(metadata) : undefined;
  }

  return { find, fixed };
}

/** The members that make a client confidential. */
export const CREDENTIAL_MEMBERS = [
  'clientSecretHash',
  'clientSecretSealed',
  'jwks',
  'jwksUri',
  ...CERTIFICATE_SUBJECTS,
] as const;

/** Removes members that are `null`: a database row has `null` for a missing value. */
function withoutNulls(stored: object): ClientMetadata {
  const entries = Object.entries(stored).filter(([, value]) => value !== null);
  return Object.fromEntries(entries) as unknown as ClientMetadata;
}

/** Converts a client of the options to the form that an adapter stores: secrets are hashed, or sealed for `client_secret_jwt`. */
export function storedClient(
  { clientSecret, ...metadata }: ClientOptions,
  seal: (clientSecret: string) => string,
): ClientMetadata {
  if (clientSecret === undefined) return metadata;
  const secrets = typeof clientSecret === 'string' ? [clientSecret] : clientSecret;
  return metadata.tokenEndpointAuthMethod === 'client_secret_jwt'
    ? { ...metadata, clientSecretSealed: secrets.map(seal) }
    : { ...metadata, clientSecretHash: secrets.map(hashGeneratedSecret) };
}
