import type { KeyObject } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import type { Outbound } from '../http/outbound';
import { isJsonObject, parseJson } from '../json';
import { algorithmsOf, isSameAlgorithm, publicKeyOf } from '../tokens/algorithms';
import type { ClientRecord } from './client';

/** The maximum number of keys in a set: each that is imported takes up to a millisecond. */
export const MAXIMUM_KEYS = 20;

/** The members of a JWT's header that select the key. */
interface KeyChoice {
  readonly alg?: unknown;
  readonly kid?: unknown;
}

/** The public keys of another party (RFC 7517 §5). */
export interface KeySet {
  /** Returns the keys that may have signed a JWT with this header. */
  find(header: KeyChoice): Promise<readonly KeyObject[]>;
  /** Returns all usable keys. */
  all(): Promise<readonly KeyObject[]>;
  /** Returns an object that changes whenever the set does. */
  version(): Promise<object>;
}

/** How long a fetched key set is used. Milliseconds. */
const MAXIMUM_AGE = 600_000;
/** The age at which a key set is fetched again, while the one that there is still answers. Milliseconds. */
const REFRESH_AGE = MAXIMUM_AGE - 60_000;
/** How long a fetched key set is used if it cannot be fetched again. Milliseconds. */
const MAXIMUM_STALE_AGE = 86_400_000;
/** The pause after a fetch, successful or not: unknown key ids in requests must not each cause a fetch. Milliseconds. */
const COOL_DOWN = 30_000;
/** For how long after a failed fetch nobody waits for the next one: a server that hangs must not hold up each request. Milliseconds. */
const FAILURE_LIFETIME = 2 * COOL_DOWN;
/** The pause after a fetch while there are no keys: the first fetch may meet a server that is just starting. Milliseconds. */
const COOL_DOWN_WITHOUT_KEYS = 1_000;
/** How many keys with the same id are tried. */
const MAXIMUM_CANDIDATES = 4;

/** Creates the key set at a URL. It is cached, and fetched again for a key id that it does not contain. */
export function createRemoteKeySet(
  url: string,
  { fetch, clock }: { fetch: Outbound; clock: () => number },
): KeySet {
  let keys: readonly unknown[] | undefined;
  let fetchedAt = -Infinity;
  let triedAt = -Infinity;
  let failure: unknown;
  let failedAt = -Infinity;
  let pending: Promise<void> | undefined;

  async function load(): Promise<void> {
    triedAt = clock();
    try {
      keys = keysOf(parseJson(await fetch({ method: 'GET', url, headers: { Accept: 'application/json' } })));
      fetchedAt = clock();
    } catch (error) {
      failure = error;
      failedAt = clock();
    }
  }

  const isUsable = (): boolean => keys !== undefined && clock() - fetchedAt < MAXIMUM_STALE_AGE;

  async function refresh(): Promise<void> {
    if (!pending && clock() - triedAt < (isUsable() ? COOL_DOWN : COOL_DOWN_WITHOUT_KEYS)) return;
    pending ??= load().finally(() => (pending = undefined));
    await pending;
  }

  async function current(): Promise<readonly unknown[]> {
    const age = clock() - fetchedAt;
    const mustWait = age >= MAXIMUM_AGE && !(isUsable() && clock() - failedAt < FAILURE_LIFETIME);
    const fetched = age >= REFRESH_AGE ? refresh() : undefined;
    if (mustWait) await fetched;
    if (keys && isUsable()) return keys;
    const { message = '' } = (failure ?? {}) as Partial<Error>;
    throw new Error(`no key set could be fetched from ${url}: ${message}`, { cause: failure });
  }

  async function find(header: KeyChoice): Promise<readonly KeyObject[]> {
    const found = matching(await current(), header);
    if (found.length > 0) return found;
    await refresh();
    return matching(await current(), header);
  }

  return { find, all: async () => usable(await current()), version: current };
}

/** Creates a function that returns a client's key set: from the client's metadata, or from its `jwks_uri`. */
export function createClientKeySets(options: {
  fetch: Outbound;
  clock: () => number;
}): (record: Pick<ClientRecord, 'jwks' | 'jwksUri'>) => KeySet {
  const remote = new LRUCache<string, KeySet>({ max: 1000 });
  return ({ jwks, jwksUri }) => {
    if (jwksUri === undefined) {
      const keys = jwks?.keys ?? [];
      return {
        find: (header) => Promise.resolve(matching(keys, header)),
        all: () => Promise.resolve(usable(keys)),
        version: () => Promise.resolve(keys),
      };
    }
    const known = remote.get(jwksUri) ?? createRemoteKeySet(jwksUri, options);
    remote.set(jwksUri, known);
    return known;
  };
}

function keysOf(jwks: unknown): readonly unknown[] {
  const { keys } = (jwks ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error('the response is not a key set');
  if (keys.length > MAXIMUM_KEYS) throw new Error(`the key set has more than ${MAXIMUM_KEYS} keys`);
  return keys;
}

/** A cache of imported keys, because importing a key takes longer than looking it up. */
const imported = new WeakMap<object, KeyObject | 'unusable'>();

function importedKey(jwk: object): KeyObject | undefined {
  const known = imported.get(jwk) ?? verificationKey(jwk) ?? 'unusable';
  imported.set(jwk, known);
  return known === 'unusable' ? undefined : known;
}

/** Imports a key, unless it is for another use (RFC 7517 §4.2 and §4.3). */
function verificationKey(jwk: object): KeyObject | undefined {
  const { use = 'sig', key_ops: operations = ['verify'] } = jwk as Record<string, unknown>;
  if (use !== 'sig' || !Array.isArray(operations) || !operations.includes('verify')) return undefined;
  return publicKeyOf(jwk);
}

function usable(keys: readonly unknown[]): readonly KeyObject[] {
  return keys.flatMap((jwk) => (isJsonObject(jwk) ? (importedKey(jwk) ?? []) : []));
}

/**
 * Returns the keys with the header's id, and keys without an id. If the header has no id, returns the key that fits, provided
 * that there is only one (RFC 7515 §4.1.4).
 */
function matching(keys: readonly unknown[], { alg, kid }: KeyChoice): readonly KeyObject[] {
  if (typeof alg !== 'string') return [];
  const fitting = keys.flatMap((jwk) => {
    if (!isJsonObject(jwk)) return [];
    const { kid: ownKid = kid, alg: ownAlg = alg } = jwk;
    if (typeof ownAlg !== 'string' || !isSameAlgorithm(ownAlg, alg)) return [];
    if (kid !== undefined && ownKid !== kid) return [];
    const key = importedKey(jwk);
    return key && algorithmsOf(key).includes(alg) ? [key] : [];
  });
  if (kid === undefined) return fitting.length === 1 ? fitting : [];
  return fitting.slice(0, MAXIMUM_CANDIDATES);
}
