import type { ClientMetadata, PreviousSecret } from '../adapters/contract';
import type { Store } from '../adapters/store';
import { invalidClientMetadata, OAuthError } from '../errors';
import type { EventReporter } from '../event-reporter';
import { withoutNulls } from '../json';
import type { Sealer } from '../tokens/keys';
import {
  asList,
  CERTIFICATE_SUBJECTS,
  resolveClient,
  type ClientOptions,
  type PublicMetadata,
} from './client';
import { hasSecret, newClientId, newCredentials, type NewCredentials } from './new-credentials';
import { hashClientSecret } from './secret-hashes';
import type { CheckSector } from './sector-identifier';

/** A client to create. Without `clientId` it gets a random one. */
export interface NewClient extends Omit<ClientOptions, 'clientId' | 'previousSecrets'> {
  /** `client_id`. @defaultValue 43 random characters */
  clientId?: string;
}

/** Changes of a client: `null` removes a member. Secrets are changed by `rotateSecret`. */
export type ClientChanges = {
  [Name in keyof Omit<PublicMetadata, 'clientId'>]?: PublicMetadata[Name] | null;
};

/** A client that was created or changed. */
export interface ManagedClient {
  /** The client, without its secrets in any form. */
  readonly client: PublicMetadata;
  /** The secret that was created, to tell once; it cannot be read again. */
  readonly clientSecret: string | undefined;
}

/** The functions with which a host manages the clients that its adapter stores. Those of the options are not among them. */
export interface ClientManager {
  /**
   * Creates a client, checked as a registration is. It gets a secret unless `tokenEndpointAuthMethod`, a key, or the subject of a
   * certificate says otherwise: `'none'` is a public client. A client that comes from elsewhere may bring `clientSecret`, which is
   * hashed, or `clientSecretHash`.
   *
   * @throws OAuthError `invalid_client_metadata` with all faults; Error if the adapter has no `saveClient`
   */
  create(client: NewClient): Promise<ManagedClient>;
  /** Returns a client, or `undefined`. */
  get(clientId: string): Promise<PublicMetadata | undefined>;
  /**
   * Changes a client. A new authentication method that needs a secret creates one. Of two changes at once the later one holds.
   *
   * @returns the client, or `undefined` if there is none
   * @throws OAuthError `invalid_client_metadata` with all faults; Error if the adapter has no `saveClient`
   */
  update(clientId: string, changes: ClientChanges): Promise<ManagedClient | undefined>;
  /**
   * Creates a new secret. The old ones are accepted for `keepFor` seconds more.
   *
   * @returns the client with its secret, or `undefined` if there is none
   * @throws OAuthError `invalid_client_metadata` if the client's method has no secret; Error if the adapter has no `saveClient`
   */
  rotateSecret(clientId: string, options?: { keepFor?: number }): Promise<ManagedClient | undefined>;
  /**
   * Deletes a client: its grants and tokens end with it. Returns `false` if there was none.
   * @throws Error if the adapter has no `deleteClient`
   */
  delete(clientId: string): Promise<boolean>;
  /**
   * Returns clients in the order of their ids: the first `limit` (100 by default), or those after a client id.
   * @throws Error if the adapter has no `listClients`
   */
  list(options?: { after?: string; limit?: number }): Promise<PublicMetadata[]>;
}

interface ClientManagerOptions {
  store: Pick<Store, 'getClient'> &
    Partial<Pick<Store, 'saveClient' | 'replaceClient' | 'deleteClient' | 'listClients'>>;
  /** Returns the faults of a client. `names` are the members that the host has named: unknown ones are typos. */
  faultsOf: (client: ClientMetadata, names: readonly string[]) => readonly string[];
  /** Whether a client id is taken by a client of the options. */
  isFixed: (clientId: string) => boolean;
  checkSector: CheckSector;
  sealer: Pick<Sealer, 'seal'>;
  clock: () => number;
  reporter: Pick<EventReporter, 'emit'>;
}

/** How long a secret that was replaced is accepted by default. Seconds. */
const KEEP_FOR = 86_400;
/** How many secrets a client may have: each is compared with a wrong one. */
const MAXIMUM_PREVIOUS = 4;
const SECRET_MEMBERS = ['clientSecret', 'clientSecretHash', 'clientSecretSealed', 'previousSecrets'] as const;

export function createClientManager(options: ClientManagerOptions): ClientManager {
  const { store, faultsOf, isFixed, checkSector, sealer, clock, reporter } = options;
  const seconds = (): number => Math.floor(clock() / 1000);

  async function find(clientId: string): Promise<ClientMetadata | undefined> {
    const stored = await store.getClient(clientId);
    return stored && (withoutNulls(stored) as unknown as ClientMetadata);
  }

  async function refuseFaults(client: ClientMetadata, names: readonly string[]): Promise<void> {
    const faults = faultsOf(client, names);
    // RFC 6749 §5.2: these characters cannot be in a description.
    if (faults.length > 0) throw invalidClientMetadata(faults.join('; ').replaceAll(/["\\]/g, ''));
    await checkSector(client);
  }

  /** Stores a client that existed. Returns `false` if it has been deleted meanwhile. */
  async function replace(client: ClientMetadata, names: readonly string[] = []): Promise<boolean> {
    await refuseFaults(client, names);
    if (store.replaceClient) {
      if (!(await store.replaceClient(client))) return false;
    } else await required(store.saveClient, 'saveClient')(client);
    reporter.emit('client.updated', { clientId: client.clientId });
    return true;
  }

  return {
    async create(given) {
      const save = required(store.saveClient, 'saveClient');
      const { clientSecret: ownSecret, ...metadata } = definedMembers(given) as Omit<
        NewClient,
        'clientSecret'
      > & {
        clientSecret?: unknown;
      };
      const { clientId = newClientId() } = metadata;
      const credentials = await credentialsOf(metadata, ownSecret, sealer);
      const client: ClientMetadata = {
        ...metadata,
        ...credentials.stored,
        clientId,
        clientIdIssuedAt: metadata.clientIdIssuedAt ?? seconds(),
      };
      await refuseFaults(client, Object.keys(client));
      if (isFixed(clientId) || (await find(clientId)))
        throw invalidClientMetadata('a client with this clientId exists');
      await save(client);
      reporter.emit('client.registered', { clientId });
      return { client: withoutSecrets(client), clientSecret: credentials.clientSecret };
    },

    async get(clientId) {
      const client = await find(clientId);
      return client && withoutSecrets(client);
    },

    async update(clientId, changes) {
      refuseSecrets(changes);
      const known = await find(clientId);
      if (!known) return undefined;
      const merged = withoutNulls({ ...known, ...definedMembers(changes), clientId });
      const { client, clientSecret } = withFittingSecret(merged as unknown as ClientMetadata, sealer);
      const isReplaced = await replace(client, Object.keys(changes));
      return isReplaced ? { client: withoutSecrets(client), clientSecret } : undefined;
    },

    async rotateSecret(clientId, { keepFor = KEEP_FOR } = {}) {
      if (!Number.isFinite(keepFor) || keepFor < 0) throw new TypeError('keepFor must be seconds');
      const known = await find(clientId);
      if (!known) return undefined;
      const { tokenEndpointAuthMethod: method } = resolveClient(known);
      if (!hasSecret(method)) throw invalidClientMetadata(`a client with ${method} has no secret`);
      const now = seconds();
      const { clientSecretHash, clientSecretSealed, previousSecrets = [], ...rest } = known;
      const expiresAt = now + Math.ceil(keepFor);
      const replaced: PreviousSecret[] = [
        ...asList(clientSecretHash).map((hash) => ({ clientSecretHash: hash, expiresAt })),
        ...asList(clientSecretSealed).map((sealed) => ({ clientSecretSealed: sealed, expiresAt })),
      ];
      const previous = [...replaced, ...previousSecrets].filter((secret) => secret.expiresAt > now);
      // What was chosen stays chosen, and nothing more.
      const chosen = method === 'client_secret_jwt' ? method : known.tokenEndpointAuthMethod;
      const { stored, clientSecret } = newCredentials(chosen, sealer);
      const client: ClientMetadata = {
        ...rest,
        ...stored,
        ...(previous.length > 0 && { previousSecrets: previous.slice(0, MAXIMUM_PREVIOUS) }),
      };
      return (await replace(client)) ? { client: withoutSecrets(client), clientSecret } : undefined;
    },

    async delete(clientId) {
      const deleteClient = required(store.deleteClient, 'deleteClient');
      if (!(await find(clientId))) return false;
      await deleteClient(clientId);
      reporter.emit('client.deleted', { clientId });
      return true;
    },

    async list({ after, limit = 100 } = {}) {
      const listed = await required(store.listClients, 'listClients')(after, limit);
      return listed.map((client) => withoutSecrets(withoutNulls(client) as unknown as ClientMetadata));
    },
  };
}

/** @throws Error */
function required<T>(run: T | undefined, name: string): T {
  if (run) return run;
  throw new Error(`oauth.clients needs ${name}() of the adapter`);
}

/** Returns the credentials of a new client: those that it brings, or new ones if its method needs them. */
async function credentialsOf(
  client: Partial<ClientMetadata>,
  clientSecret: unknown,
  sealer: Pick<Sealer, 'seal'>,
): Promise<NewCredentials> {
  const { tokenEndpointAuthMethod: method } = client;
  if (clientSecret !== undefined)
    return { stored: await storedSecret(method, clientSecret, sealer), clientSecret: undefined };
  const bringsOther = [
    'clientSecretHash',
    'clientSecretSealed',
    ...(method === undefined ? (['jwks', 'jwksUri', ...CERTIFICATE_SUBJECTS] as const) : []),
  ].some((name) => name in client);
  return bringsOther ? { stored: {}, clientSecret: undefined } : newCredentials(method, sealer);
}

/** Hashes or seals a secret that a client brings: somebody may have chosen it, so that the hash is a slow one. */
async function storedSecret(
  method: unknown,
  clientSecret: unknown,
  sealer: Pick<Sealer, 'seal'>,
): Promise<Partial<ClientMetadata>> {
  if (typeof clientSecret !== 'string' || clientSecret === '')
    throw invalidClientMetadata('clientSecret must be a string that is not empty');
  if (method !== 'client_secret_jwt') return { clientSecretHash: await hashClientSecret(clientSecret) };
  if (Buffer.byteLength(clientSecret) < 32)
    throw invalidClientMetadata('clientSecret must have at least 32 bytes for client_secret_jwt');
  return { clientSecretSealed: sealer.seal(clientSecret) };
}

/** Gives a client the secret that its method needs, and takes those away that it does not need any more. */
function withFittingSecret(
  client: ClientMetadata,
  sealer: Pick<Sealer, 'seal'>,
): { readonly client: ClientMetadata; readonly clientSecret: string | undefined } {
  const { clientSecretHash, clientSecretSealed, previousSecrets, ...rest } = client;
  const method = rest.tokenEndpointAuthMethod;
  const isSealed =
    method === 'client_secret_jwt' || (method === undefined && clientSecretSealed !== undefined);
  const kept = isSealed
    ? clientSecretSealed && { clientSecretSealed }
    : clientSecretHash && { clientSecretHash };
  const needsSecret = method === undefined ? kept !== undefined : hasSecret(method);
  if (!needsSecret) return { client: rest, clientSecret: undefined };
  if (kept)
    return {
      client: { ...rest, ...kept, ...(previousSecrets && { previousSecrets }) },
      clientSecret: undefined,
    };
  const { stored, clientSecret } = newCredentials(method, sealer);
  return { client: { ...rest, ...stored }, clientSecret };
}

function refuseSecrets(changes: object): void {
  const named = SECRET_MEMBERS.find((name) => name in changes);
  if (named !== undefined)
    throw new OAuthError('invalid_client_metadata', `${named} is changed by rotateSecret()`);
  if ('clientId' in changes) throw invalidClientMetadata('clientId cannot be changed');
}

function withoutSecrets(client: ClientMetadata): PublicMetadata {
  const hidden: readonly string[] = SECRET_MEMBERS;
  return Object.fromEntries(
    Object.entries(client).filter(([name]) => !hidden.includes(name)),
  ) as unknown as PublicMetadata;
}

/** Leaves out members that are undefined. */
function definedMembers<T extends object>(members: T): T {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T;
}
