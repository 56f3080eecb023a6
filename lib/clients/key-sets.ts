import type { KeyObject } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import type { Outbound } from '../http/outbound';
import { algorithmsOf, isSameAlgorithm, publicKeyOf } from '../tokens/algorithms';
import type { ClientRecord } from './client';

/** The header of a JWT, which chooses the key. */
interface KeyChoice {
  readonly alg?: unknown;
  readonly kid?: unknown;
}

/** Keys that somebody else publishes (RFC 7517 §5). */
export interface KeySet {
  /** Those that may have signed a JWT with this header. */
  find(header: KeyChoice): Promise<readonly KeyObject[]>;
  /** All that can be used. */
  all(): Promise<readonly KeyObject[]>;
}

/** How long what was fetched is good, and how long it is used on if it cannot be fetched again. Milliseconds. */
const MAXIMUM_AGE = 600_000;
const MAXIMUM_STALE_AGE = 86_400_000;
/** How long after a fetch, a failed one too, none is made: whoever sends unknown key ids must not make us fetch. */
const COOL_DOWN = 30_000;
/** How many keys of one id are tried. */
const MAXIMUM_CANDIDATES = 4;

/** The key set at a URL: cached, and fetched again for a key id that is not in it. */
export function remoteKeySet(
  url: string,
  { fetch, clock }: { fetch: Outbound; clock: () => number },
): KeySet {
  let keys: readonly unknown[] | undefined;
  let fetchedAt = -Infinity;
  let triedAt = -Infinity;
  let failure: unknown;
  let pending: Promise<void> | undefined;

  async function load(): Promise<void> {
    triedAt = clock();
    try {
      keys = keysOf(JSON.parse(await fetch({ method: 'GET', url, headers: { Accept: 'application/json' } })));
      fetchedAt = clock();
    } catch (error) {
      failure = error;
    }
  }

  async function refresh(): Promise<void> {
    if (!pending && clock() - triedAt < COOL_DOWN) return;
    pending ??= load().finally(() => (pending = undefined));
    await pending;
  }

  async function current(): Promise<readonly unknown[]> {
    if (clock() - fetchedAt >= MAXIMUM_AGE) await refresh();
    if (keys && clock() - fetchedAt < MAXIMUM_STALE_AGE) return keys;
    const { message = '' } = (failure ?? {}) as Partial<Error>;
    throw new Error(`no key set could be fetched from ${url}: ${message}`, { cause: failure });
  }

  async function find(header: KeyChoice): Promise<readonly KeyObject[]> {
    const found = matching(await current(), header);
    if (found.length > 0) return found;
    await refresh();
    return matching(await current(), header);
  }

  return { find, all: async () => usable(await current()) };
}

/** The keys of clients: those of their metadata, or those at their `jwks_uri`. */
export function clientKeySets(options: {
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
      };
    }
    const known = remote.get(jwksUri) ?? remoteKeySet(jwksUri, options);
    remote.set(jwksUri, known);
    return known;
  };
}

function keysOf(jwks: unknown): readonly unknown[] {
  const { keys } = (jwks ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error('what was fetched is no key set');
  return keys;
}

/** Importing a key costs more than finding it. */
const imported = new WeakMap<object, KeyObject | 'unusable'>();

function importedKey(jwk: object): KeyObject | undefined {
  const known = imported.get(jwk) ?? verificationKey(jwk) ?? 'unusable';
  imported.set(jwk, known);
  return known === 'unusable' ? undefined : known;
}

/** RFC 7517 §4.2 and §4.3: not one that is for something else. */
function verificationKey(jwk: object): KeyObject | undefined {
  const { use = 'sig', key_ops: operations = ['verify'] } = jwk as Record<string, unknown>;
  if (use !== 'sig' || !Array.isArray(operations) || !operations.includes('verify')) return undefined;
  return publicKeyOf(jwk);
}

function usable(keys: readonly unknown[]): readonly KeyObject[] {
  return keys.flatMap((jwk) => (typeof jwk === 'object' && jwk !== null ? (importedKey(jwk) ?? []) : []));
}

/** RFC 7515 §4.1.4: the keys of this id. Without an id, the one key that fits. */
function matching(keys: readonly unknown[], { alg, kid }: KeyChoice): readonly KeyObject[] {
  if (typeof alg !== 'string') return [];
  const fitting = keys.flatMap((jwk) => {
    if (typeof jwk !== 'object' || jwk === null) return [];
    const { kid: ownKid = kid, alg: ownAlg = alg } = jwk as Record<string, unknown>;
    if (typeof ownAlg !== 'string' || !isSameAlgorithm(ownAlg, alg)) return [];
    if (kid !== undefined && ownKid !== kid) return [];
    const key = importedKey(jwk);
    return key && algorithmsOf(key).includes(alg) ? [key] : [];
  });
  if (kid === undefined) return fitting.length === 1 ? fitting : [];
  return fitting.slice(0, MAXIMUM_CANDIDATES);
}
