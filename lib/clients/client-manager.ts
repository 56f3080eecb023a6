import type { ClientMetadata, PreviousSecret } from '../adapters/contract';
import type { Store } from '../adapters/store';
import { invalidClientMetadata, OAuthError } from '../errors';
import type { EventReporter } from '../event-reporter';
import { definedMembers, withoutNulls } from '../json';
import type { Sealer } from '../tokens/keys';
import { asList, CERTIFICATE_SUBJECTS, CLIENT_ID, resolveClient, type PublicMetadata } from './client';
import { hasSecret, newClientId, newCredentials, type NewCredentials } from './new-credentials';
import { createReplaceClient, untilReplaced } from './replace-client';
import { hashClientSecret } from './secret-hashes';
import type { CheckSector } from './sector-identifier';

/** A client to create. Without `clientId` it gets a random one. */
export interface NewClient extends Omit<ClientMetadata, 'clientId' | 'previousSecrets' | 'revision'> {
  /** `client_id`. @defaultValue 43 random characters */
  clientId?: string;
  /** A secret that the client has already. @defaultValue a new one, if its method needs a secret */
  clientSecret?: string;
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
   * Changes a client. A new authentication method that needs a secret creates one.
   *
   * @returns the client, or `undefined` if there is none
   * @throws OAuthError `invalid_client_metadata` with all faults; Error if the adapter has no `replaceClient`
   */
  update(clientId: string, changes: ClientChanges): Promise<ManagedClient | undefined>;
  /**
   * Creates a new secret. The old ones, at most four, are accepted for `keepFor` seconds more (a day by default), and none for longer.
   *
   * @returns the client with its secret, or `undefined` if there is none
   * @throws OAuthError `invalid_client_metadata` if the client's method has no secret; Error if the adapter has no `replaceClient`
   */
  rotateSecret(clientId: string, options?: { keepFor?: number }): Promise<ManagedClient | undefined>;
  /**
   * Deletes a client: its grants and tokens end with it. Returns `false` if there was none.
   * @throws Error if the adapter has no `deleteClient`
   */
  delete(clientId: string): Promise<boolean>;
  /**
   * Returns clients in the order of their ids: the first `limit` (1 to 1000, 100 by default), or those after a client id.
   * @throws TypeError for another limit
   * @throws Error if the adapter has no `listClients`
   */
  list(options?: { after?: string; limit?: number }): Promise<PublicMetadata[]>;
}

interface ClientManagerOptions {
  store: Pick<Store, 'getClient' | 'setOnce'> &
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
/** How many replaced secrets a client may have: a wrong one is compared with each. */
const MAXIMUM_PREVIOUS = 4;
/** Of two clients that are created with one id at once, the later one is refused for so long. Seconds. */
const CREATED_AT_ONCE = 2;
const MAXIMUM_LISTED = 1000;
const SECRET_MEMBERS = [
  'clientSecret',
  'clientSecretHash',
  'clientSecretSealed',
  'previousSecrets',
  'revision',
] as const;

export function createClientManager(options: ClientManagerOptions): ClientManager {
  const { store, faultsOf, isFixed, checkSector, sealer, clock, reporter } = options;
  const seconds = (): number => Math.floor(clock() / 1000);

  async function find(clientId: string): Promise<ClientMetadata | undefined> {
    if (!CLIENT_ID.test(clientId)) return undefined;
    const stored = await store.getClient(clientId);
    const client = stored && (withoutNulls(stored) as unknown as ClientMetadata);
    // A database may compare without regard to case or trailing blanks.
    return client?.clientId === clientId ? client : undefined;
  }

  async function refuseFaults(client: ClientMetadata, names: readonly string[]): Promise<void> {
    const faults = faultsOf(client, names);
    // RFC 6749 §5.2: these characters cannot be in a description.
    if (faults.length > 0) throw invalidClientMetadata(faults.join('; ').replaceAll(/["\\]/g, ''));
    await checkSector(client);
  }

  /** Changes a client that exists. `change` may be called again, with what others have made of the client. */
  async function changed(
    clientId: string,
    names: readonly string[],
    change: (known: ClientMetadata) => Changed,
  ): Promise<ManagedClient | undefined> {
    const replace = createReplaceClient(store.setOnce, required(store.replaceClient, 'replaceClient'));
    const result = await untilReplaced(async () => {
      const known = await find(clientId);
      if (!known) return undefined;
      const { client, clientSecret } = change(known);
      await refuseFaults(client, names);
      const outcome = await replace(known, client);
      if (outcome === 'changed elsewhere') return outcome;
      return outcome === 'gone' ? undefined : { client: withoutSecrets(client), clientSecret };
    });
    if (result) reporter.emit('client.updated', { clientId });
    return result;
  }

  return {
    async create(given) {
      const save = required(store.saveClient, 'saveClient');
      const { clientSecret: ownSecret, ...metadata } = definedMembers(given);
      const { clientId = newClientId() } = metadata;
      const credentials = await credentialsOf(metadata, ownSecret, sealer);
      const client: ClientMetadata = {
        ...metadata,
        ...credentials.stored,
        clientId,
        clientIdIssuedAt: metadata.clientIdIssuedAt ?? seconds(),
        // What was granted to a client of this id before it was deleted stays withdrawn.
        grantsNotBefore: metadata.grantsNotBefore ?? seconds(),
      };
      await refuseFaults(client, Object.keys(client));
      const isFirst = await store.setOnce(`client-create:${clientId}`, CREATED_AT_ONCE);
      if (!isFirst || isFixed(clientId) || (await find(clientId)))
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
      return changed(clientId, Object.keys(changes), (known) => {
        const merged = withoutNulls({ ...known, ...definedMembers(changes), clientId });
        return withFittingSecret(merged as unknown as ClientMetadata, sealer);
      });
    },

    async rotateSecret(clientId, { keepFor = KEEP_FOR } = {}) {
      if (!Number.isFinite(keepFor) || keepFor < 0) throw new TypeError('keepFor must be seconds');
      return changed(clientId, [], (known) => withNewSecret(known, { now: seconds(), keepFor, sealer }));
    },

    async delete(clientId) {
      const deleteClient = required(store.deleteClient, 'deleteClient');
      if (!(await find(clientId))) return false;
      await deleteClient(clientId);
      reporter.emit('client.deleted', { clientId });
      return true;
    },

    async list({ after, limit = 100 } = {}) {
      if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAXIMUM_LISTED)
        throw new TypeError(`limit must be an integer from 1 to ${MAXIMUM_LISTED}`);
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

/** A client as it will be, and the secret that it gets. */
interface Changed {
  readonly client: ClientMetadata;
  readonly clientSecret: string | undefined;
}

/** Gives a client a new secret, and keeps the old ones for a while. `now` is in epoch seconds. */
function withNewSecret(
  known: ClientMetadata,
  { now, keepFor, sealer }: { now: number; keepFor: number; sealer: Pick<Sealer, 'seal'> },
): Changed {
  const { tokenEndpointAuthMethod: method } = resolveClient(known);
  if (!hasSecret(method)) throw invalidClientMetadata(`a client with ${method} has no secret`);
  const { clientSecretHash, clientSecretSealed, previousSecrets = [], ...rest } = known;
  const until = now + Math.ceil(keepFor);
  const replaced: PreviousSecret[] = [
    ...asList(clientSecretHash).map((hash) => ({ clientSecretHash: hash, expiresAt: until })),
    ...asList(clientSecretSealed).map((sealed) => ({ clientSecretSealed: sealed, expiresAt: until })),
    // Whoever replaces a secret at once means every one.
    ...previousSecrets.map((secret) => ({ ...secret, expiresAt: Math.min(secret.expiresAt, until) })),
  ];
  const previous = replaced.filter(({ expiresAt }) => expiresAt > now).slice(0, MAXIMUM_PREVIOUS);
  // What was chosen stays chosen, and nothing more.
  const chosen = method === 'client_secret_jwt' ? method : known.tokenEndpointAuthMethod;
  const { stored, clientSecret } = newCredentials(chosen, sealer);
  const client = { ...rest, ...stored, ...(previous.length > 0 && { previousSecrets: previous }) };
  return { client, clientSecret };
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
function withFittingSecret(client: ClientMetadata, sealer: Pick<Sealer, 'seal'>): Changed {
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
