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
import { clientChecker } from './client-checks';
import { hashGeneratedSecret } from './secrets';

/** Finds clients: those of the options without I/O, then the adapter's. */
export interface ClientRegistry {
  find(clientId: string): Promise<ClientRecord | undefined>;
  /** Those that stand in the options. */
  readonly fixed: readonly ClientRecord[];
}

interface RegistryOptions {
  clients: readonly ClientMetadata[];
  store: Pick<Store, 'getClient'>;
  allowHttp: boolean;
}

export function clientRegistry({ clients, store, allowHttp }: RegistryOptions): ClientRegistry {
  const fixed = clients.map(clientRecord);
  const byId = new Map(fixed.map((record) => [record.client.clientId, record]));
  const check = clientChecker({ allowHttp, strict: false });

  async function find(clientId: string): Promise<ClientRecord | undefined> {
    const known = byId.get(clientId);
    if (known || !CLIENT_ID.test(clientId)) return known;
    const stored = await store.getClient(clientId);
    if (stored === undefined || stored === null) return undefined;
    if (typeof stored !== 'object') throw serverError(new Error('getClient() must give an object'));
    const metadata = withoutNulls(stored);
    // A secret or key that got lost must not make a public client of a confidential one.
    const lost = CREDENTIALS.find((name) => name in stored && !metadata[name]);
    if (
      lost &&
      metadata.tokenEndpointAuthMethod === undefined &&
      !CREDENTIALS.some((name) => metadata[name])
    ) {
      throw serverError(new Error(`a client without ${lost} needs a tokenEndpointAuthMethod`));
    }
    const faults = check(metadata, 'client');
    if (faults.length > 0)
      throw serverError(new Error(`getClient() gave an invalid client: ${faults.join(', ')}`));
    // A database may compare without case, or pad.
    return metadata.clientId === clientId ? clientRecord(metadata) : undefined;
  }

  return { find, fixed };
}

/** The members without which a client would be a public one. */
export const CREDENTIALS = [
  'clientSecretHash',
  'clientSecretSealed',
  'jwks',
  'jwksUri',
  ...CERTIFICATE_SUBJECTS,
] as const;

/** A row of a database has `null` where nothing is. */
function withoutNulls(stored: object): ClientMetadata {
  const entries = Object.entries(stored).filter(([, value]) => value !== null);
  return Object.fromEntries(entries) as unknown as ClientMetadata;
}

/** A client of the options with its secrets hashed, or sealed if its method needs them back, as an adapter would store it. */
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
