import { LRUCache } from 'lru-cache';

import { nextTurn } from '../next-turn';
import { refuseUnknown, type Adapter, type ClientMetadata, type Consent, type StoredGrant } from './contract';

/** The options of `memoryAdapter`. */
export interface MemoryAdapterOptions {
  /**
   * The number of entries of each kind to keep. Beyond that, the least recently used grants, values, consents and clients with a
   * `ttl` are dropped, and other new clients and `setOnce` keys are refused. @defaultValue `100000`
   */
  maxEntries?: number;
  /** The clock for garbage collection, which returns epoch milliseconds. @defaultValue `Date.now` */
  clock?: () => number;
}

/** Every function of the contract but `close`: there is nothing to release. */
export type MemoryAdapter = Required<Omit<Adapter, 'close'>>;

/** Marks the adapter, even where it is spread into another, or comes from another copy of this module. */
const MEMORY = Symbol.for('express-oauth-router.memoryAdapter');

export function isMemoryAdapter(adapter: object): boolean {
  return MEMORY in adapter;
}

/**
 * The options of a cache whose entries have a lifetime. The limit is a size, of which each entry takes 1: a cache with a maximum of entries
 * takes the memory for all of them at once.
 */
interface CacheOptions {
  maxSize: number;
  sizeCalculation: () => number;
  ttl: number;
  perf: { now: () => number };
  ttlResolution: number;
}

/** With how many `setOnce` keys those that are over are removed first. */
const FIRST_PURGE = 1000;
/** Milliseconds. */
const PURGE_PAUSE = 1000;
/** How long a grant is kept after its expiry, because processes' clocks differ. Milliseconds. */
const GRACE = 600_000;

/**
 * Stores everything in this process, for development and tests. The data is lost when the process exits and is not shared with
 * other processes, so a router outside development refuses this adapter.
 */
export function memoryAdapter({
  maxEntries = 100_000,
  clock = () => Date.now(),
  ...unknown
}: MemoryAdapterOptions = {}): MemoryAdapter {
  refuseUnknown('memoryAdapter', unknown);
  const limit = { maxSize: maxEntries, sizeCalculation: () => 1 };
  const cacheOptions: CacheOptions = { ...limit, ttl: 1, perf: { now: clock }, ttlResolution: 0 };
  const grants = new LRUCache<string, { generation: number; record: string }>({
    ...cacheOptions,
    dispose: ({ record }, _grantId, reason) => {
      if (reason !== 'set') forget(JSON.parse(record) as StoredGrant);
    },
  });
  const grantsOfUser = new Map<string, Set<string>>();
  const state = new LRUCache<string, string>(cacheOptions);
  const spent = new LRUCache<string, true>(cacheOptions);
  const consents = new LRUCache<string, string>(limit);

  let purgedAt = -Infinity;
  let purgeSize = FIRST_PURGE;
  /** Removes what is over: when there is twice as much as was left, and when it is full, but not for each entry that comes then. */
  function hasRoom(): boolean {
    const isFull = spent.size >= maxEntries;
    if (spent.size >= purgeSize || (isFull && Math.abs(clock() - purgedAt) >= PURGE_PAUSE)) {
      spent.purgeStale();
      purgedAt = clock();
      purgeSize = Math.max(FIRST_PURGE, 2 * spent.size);
    }
    return spent.size < maxEntries;
  }

  function write(grant: StoredGrant): void {
    const { id, userId, generation, expiresAt } = grant;
    const stored = { generation, record: JSON.stringify(grant) };
    grants.set(id, stored, { ttl: Math.max(expiresAt - clock(), 0) + GRACE });
    if (userId === undefined) return;
    const ids = grantsOfUser.get(userId) ?? new Set();
    grantsOfUser.set(userId, ids.add(id));
  }

  function forget({ id, userId = '' }: StoredGrant): void {
    const ids = grantsOfUser.get(userId);
    ids?.delete(id);
    if (ids?.size === 0) grantsOfUser.delete(userId);
  }

  function read(grantId: string): StoredGrant | undefined {
    const stored = grants.get(grantId);
    return stored && (JSON.parse(stored.record) as StoredGrant);
  }

  const adapter = {
    ...createClients({ maxEntries, cacheOptions }),

    saveGrant: (grant: StoredGrant) => {
      if (grants.has(grant.id)) throw new Error('a grant with this id exists');
      write(grant);
    },
    getGrant: read,
    advanceGrant: (grantId: string, generation: number, next: StoredGrant) => {
      if (grants.get(grantId)?.generation !== generation) return false;
      write(next);
      return true;
    },
    revokeGrant: (grantId: string) => grants.delete(grantId),
    listGrants: (userId: string) =>
      [...(grantsOfUser.get(userId) ?? [])].flatMap((grantId) => read(grantId) ?? []),

    setOnce: (key: string, ttl: number) => {
      if (spent.has(key)) return false;
      // A dropped entry could be used again, so a full cache refuses new entries instead.
      if (!hasRoom()) throw new Error('the memory adapter is full');
      spent.set(key, true, { ttl: Math.max(ttl * 1000, 1) });
      return true;
    },
    put: (key: string, value: string, ttl: number) => state.set(key, value, { ttl: Math.max(ttl * 1000, 1) }),
    get: (key: string) => state.get(key),
    take: (key: string) => {
      const value = state.get(key);
      state.delete(key);
      return value;
    },

    getConsent: (userId: string, clientId: string) => {
      const record = consents.get(consentKey(userId, clientId));
      return record === undefined ? undefined : (JSON.parse(record) as Consent);
    },
    saveConsent: (consent: Consent) =>
      consents.set(consentKey(consent.userId, consent.clientId), JSON.stringify(consent)),
    deleteConsent: (userId: string, clientId: string) => consents.delete(consentKey(userId, clientId)),

    ping: () => undefined,
  };
  return Object.assign(asynchronous(adapter), { [MEMORY]: true });
}

/** Creates the functions for clients. */
function createClients({ maxEntries, cacheOptions }: { maxEntries: number; cacheOptions: CacheOptions }) {
  /** Clients that are kept until they are deleted, and those that are kept for a time. */
  const clients = new Map<string, string>();
  const passing = new LRUCache<string, string>(cacheOptions);

  function keep(clientId: string, record: string): void {
    if (clients.size >= maxEntries && !clients.has(clientId)) throw new Error('the memory adapter is full');
    clients.set(clientId, record);
    passing.delete(clientId);
  }

  return {
    getClient: (clientId: string) => {
      const record = clients.get(clientId) ?? passing.get(clientId);
      return record === undefined ? undefined : (JSON.parse(record) as ClientMetadata);
    },
    saveClient: (client: ClientMetadata, ttl?: number) => {
      const record = JSON.stringify(client);
      const remaining = passing.has(client.clientId) ? passing.getRemainingTTL(client.clientId) : undefined;
      const lifetime = remaining ?? (ttl === undefined ? undefined : ttl * 1000);
      if (lifetime === undefined || clients.has(client.clientId)) keep(client.clientId, record);
      else passing.set(client.clientId, record, { ttl: Math.max(lifetime, 1) });
    },
    replaceClient: (client: ClientMetadata) => {
      const { clientId } = client;
      const record = JSON.stringify(client);
      if (clients.has(clientId)) clients.set(clientId, record);
      else if (passing.has(clientId))
        passing.set(clientId, record, { ttl: passing.getRemainingTTL(clientId) });
      else return false;
      return true;
    },
    extendClient: (clientId: string, ttl?: number) => {
      const record = passing.get(clientId);
      if (record === undefined) return clients.has(clientId);
      if (ttl === undefined) keep(clientId, record);
      else if (ttl * 1000 > passing.getRemainingTTL(clientId))
        passing.set(clientId, record, { ttl: ttl * 1000 });
      return true;
    },
    deleteClient: (clientId: string) => [clients, passing].some((kept) => kept.delete(clientId)),
    listClients: (after: string | undefined, limit: number) => {
      const ids = [...clients.keys(), ...passing.keys()].filter((id) => after === undefined || id > after);
      const records = ids.sort().flatMap((id) => clients.get(id) ?? passing.get(id) ?? []);
      return records.slice(0, limit).map((record) => JSON.parse(record) as ClientMetadata);
    },
  };
}

function consentKey(userId: string, clientId: string): string {
  return JSON.stringify([userId, clientId]);
}

type Promised<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : never;
};

/**
 * Makes functions async, as those of any other adapter: an exception is a rejection, and the answer comes in a later turn of the event loop.
 * The requests that arrived meanwhile are then answered together, which costs a quarter less than to write each answer by itself.
 */
function asynchronous<T extends Record<string, (...args: never[]) => unknown>>(functions: T): Promised<T> {
  const wrap =
    (run: (...args: never[]) => unknown) =>
    async (...args: never[]) => {
      await nextTurn();
      return run(...args);
    };
  return Object.fromEntries(Object.entries(functions).map(([name, run]) => [name, wrap(run)])) as Promised<T>;
}
