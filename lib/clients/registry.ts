import { LRUCache } from 'lru-cache';

import type { ClientMetadata } from '../adapters/contract';
import type { Store } from '../adapters/store';
import { serverError } from '../errors';
import { withoutNulls } from '../json';
import {
  CERTIFICATE_SUBJECTS,
  CLIENT_ID,
  clientRecord,
  type ClientOptions,
  type ClientRecord,
} from './client';
import type { ClientChecker } from './client-checks';
import { isUrlClientId } from './document-url';
import type { ClientLookup, MetadataDocuments } from './metadata-documents';
import { hashGeneratedSecret } from './secret-hashes';

/** Finds clients: first those of the options, without I/O, then the adapter's, then those that describe themselves at a URL. */
export interface ClientRegistry {
  /** Finds a client. @throws OAuthError `temporarily_unavailable` if its metadata document cannot be fetched */
  find(clientId: string, lookup?: ClientLookup): Promise<ClientRecord | undefined>;
  /** Whether a client id may be the URL of a metadata document, which would have to be fetched. */
  mayBeDocument(clientId: string): boolean;
  /** The clients of the options. */
  readonly fixed: readonly ClientRecord[];
}

interface RegistryOptions {
  clients: readonly ClientMetadata[];
  store: Pick<Store, 'getClient'>;
  /** The clients whose id is a URL; `undefined` where there are none. */
  documents: MetadataDocuments | undefined;
  /** The scope values that clients may request which nobody here has registered. */
  selfAssertedScope: readonly string[];
  check: ClientChecker;
}

/** How many clients of the adapter are kept in their checked form. */
const CACHED_CLIENTS = 1000;

/** The result of checking a client that an adapter returned, and the text that was checked. */
type Checked = { readonly text: string } & (
  { readonly record: ClientRecord } | { readonly faults: readonly string[] }
);

export function createClientRegistry(options: RegistryOptions): ClientRegistry {
  const { clients, store, documents, selfAssertedScope, check } = options;
  const fixed = clients.map(clientRecord);
  const byId = new Map(fixed.map((record) => [record.client.clientId, record]));
  const optionalScope = selfAssertedScope.join(' ');
  const cache = new LRUCache<string, Checked>({ max: CACHED_CLIENTS });

  /** Checks a client, unless the very same client was checked before: checking and importing keys takes long. */
  function checked(clientId: string, metadata: ClientMetadata): Checked {
    const text = JSON.stringify(metadata);
    const known = cache.get(clientId);
    if (known?.text === text) return known;
    const faults = check(metadata).map(({ message }) => message);
    const result =
      faults.length > 0
        ? { text, faults }
        : { text, record: clientRecord(JSON.parse(text) as ClientMetadata) };
    cache.set(clientId, result);
    return result;
  }

  async function find(
    clientId: string,
    lookup: ClientLookup = { mayFetch: true },
  ): Promise<ClientRecord | undefined> {
    const known = byId.get(clientId);
    if (known || !CLIENT_ID.test(clientId)) return known;
    const stored = await store.getClient(clientId);
    if (stored) return recordOf(clientId, stored);
    return mayBeDocument(clientId) ? documents?.find(clientId, lookup) : undefined;
  }

  function mayBeDocument(clientId: string): boolean {
    return documents !== undefined && isUrlClientId(clientId) && !byId.has(clientId);
  }

  function recordOf(clientId: string, stored: object): ClientRecord | undefined {
    const registered = withoutNulls(stored) as unknown as ClientMetadata;
    // Nobody has checked the scope of such a registration, and the client could register again: it may request more by name.
    const metadata = registered.selfAsserted ? { optionalScope, ...registered } : registered;
    // A secret or key that was lost must not turn a confidential client into a public client.
    const lost = CREDENTIAL_MEMBERS.find((name) => name in stored && !metadata[name]);
    if (
      lost &&
      metadata.tokenEndpointAuthMethod === undefined &&
      !CREDENTIAL_MEMBERS.some((name) => metadata[name])
    ) {
      throw serverError(new Error(`a client with an empty ${lost} needs a tokenEndpointAuthMethod`));
    }
    const result = checked(clientId, metadata);
    if ('faults' in result)
      throw serverError(new Error(`getClient() returned an invalid client: ${result.faults.join(', ')}`));
    // A database may compare without regard to case or trailing blanks.
    return metadata.clientId === clientId ? result.record : undefined;
  }

  return { find, mayBeDocument, fixed };
}

/** The members that make a client confidential. */
export const CREDENTIAL_MEMBERS = [
  'clientSecretHash',
  'clientSecretSealed',
  'jwks',
  'jwksUri',
  ...CERTIFICATE_SUBJECTS,
] as const;

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
