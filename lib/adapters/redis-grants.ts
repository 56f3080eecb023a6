import { randomInt } from 'node:crypto';

import { withAge, type Adapter, type ReadGrant, type StoredGrant } from './contract';
import { callMark, type RedisCommands, type Script } from './redis-commands';
import { compactRecord, expandedRecord } from './redis-record';
import { ADVANCE_GRANT, GET_GRANT, INDEX_GRANT, LIST_GRANTS, SAVE_GRANT } from './redis-scripts';

/** How long a grant is kept after its expiry, because machines' clocks differ. Milliseconds. */
const GRACE = 600_000;
/**
 * The lifetime of a user's index, so long that a token refresh rarely renews it: the index is on another slot, and must never
 * expire before its grants. Milliseconds.
 */
const INDEX_LIFETIME = 400 * 86_400_000;
/** Milliseconds. */
const DAY = 86_400_000;
/** The age from which an entry without a grant is dead; the grant of a younger entry may still be written. Milliseconds. */
const INDEX_SETTLED = 60_000;
/** A part of a user's entries is checked when the number of entries is a multiple of this. */
const PRUNE_EVERY = 16;
/** How many entries are checked at once: enough to remove dead entries faster than they are added. */
const PRUNED_PART = 64;
/** How many grants are read at once: the list of one user must not hold up the requests of others. */
const READ_AT_ONCE = 100;

/** An entry of a user's index. */
interface Entry {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly writtenAt: number;
}

type GrantFunctions = Required<
  Pick<Adapter, 'saveGrant' | 'getGrant' | 'advanceGrant' | 'revokeGrant' | 'listGrants'>
>;

/** Creates the functions of the Redis adapter for grants, and for their index by user. */
export function createRedisGrants({ command, script }: RedisCommands, prefix: string): GrantFunctions {
  const runSaveGrant = script('oauthSaveGrant', SAVE_GRANT);
  const runGetGrant = readScript(script);
  const runAdvanceGrant = script('oauthAdvanceGrant', ADVANCE_GRANT);
  const runIndexGrant = script('oauthIndexGrant', INDEX_GRANT);
  const runListGrants = script('oauthListGrants', LIST_GRANTS);
  // The braces choose the slot.
  const grantKey = (id: string): string => `${prefix}grant:{${id}}`;
  const userKey = (userId: string): string => `${prefix}user:${userId}`;

  async function getGrant(grantId: string): Promise<ReadGrant | undefined> {
    const found = (await runGetGrant(grantKey(grantId))) as [age: string, stored: string] | null;
    if (!found) return undefined;
    const [age, stored] = found;
    const grant = expandedRecord(grantId, parseInt(stored), stored.slice(stored.indexOf('{')));
    return withAge(grant, Number(age));
  }

  /** Adds a grant to the user's index. Returns the day until which the index exists at least. */
  async function index(userId: string, grant: StoredGrant): Promise<number> {
    const now = Date.now();
    const until = Math.ceil(Math.max(now + INDEX_LIFETIME, now + 2 * (grant.expiresAt - now)));
    const entries = await runIndexGrant(userKey(userId), grant.id, now, until);
    // Housekeeping: even if it fails, the entry is written.
    if (Number(entries) % PRUNE_EVERY === 0) await prune(userId, Number(entries)).catch(() => undefined);
    return Math.floor(until / DAY);
  }

  /** Removes the dead entries of a random part of the index, so that no entry is left out forever. */
  async function prune(userId: string, entries: number): Promise<void> {
    const first = randomInt(Math.max(1, entries - PRUNED_PART + 1));
    await liveGrants(userId, await entriesOf(userId, first, first + PRUNED_PART - 1));
  }

  async function entriesOf(userId: string, first = 0, last = -1): Promise<Entry[]> {
    const flat = (await runListGrants(userKey(userId), first, last)) as string[];
    return flat.flatMap((id, position) =>
      position % 2 === 0 ? { id, writtenAt: Number(flat[position + 1]) } : [],
    );
  }

  /** Returns the grants of entries, and removes the dead entries. */
  async function liveGrants(userId: string, entries: readonly Entry[]): Promise<StoredGrant[]> {
    const grants: StoredGrant[] = [];
    for (let start = 0; start < entries.length; start += READ_AT_ONCE) {
      const part = entries.slice(start, start + READ_AT_ONCE);
      const found = await Promise.all(part.map(({ id }) => getGrant(id)));
      const settled = Date.now() - INDEX_SETTLED;
      const dead = part.filter(({ writtenAt }, position) => !found[position] && writtenAt < settled);
      if (dead.length > 0) await command('zrem', userKey(userId), ...dead.map(({ id }) => id));
      grants.push(...found.filter((grant) => grant !== undefined));
    }
    return grants;
  }

  return {
    saveGrant: async (grant) => {
      const indexedUntil = grant.userId === undefined ? 0 : await index(grant.userId, grant);
      const args = [grant.generation, compactRecord(grant), timeToLive(grant), indexedUntil, callMark()];
      const saved = await runSaveGrant(grantKey(grant.id), ...args);
      if (Number(saved) !== 1) throw new Error('a grant with this id exists');
    },
    getGrant,
    advanceGrant: async (grantId, generation, next) => {
      const mustLast = next.userId === undefined ? 0 : Math.ceil(next.expiresAt / DAY);
      const advance = (indexedUntil: number): Promise<unknown> =>
        runAdvanceGrant(
          grantKey(grantId),
          generation,
          next.generation,
          compactRecord(next),
          timeToLive(next),
          mustLast,
          indexedUntil,
        );
      const outcome = await advance(0);
      if (outcome !== 'INDEX' || next.userId === undefined) return Number(outcome) === 1;
      return Number(await advance(await index(next.userId, next))) === 1;
    },
    revokeGrant: async (grantId) => Number(await command('del', grantKey(grantId))) > 0,
    listGrants: async (userId) => liveGrants(userId, await entriesOf(userId)),
  };
}

/**
 * Returns the script that reads a grant. It says that it does not write, so that a server that stops writing for a while, as for a failover,
 * still runs it; Redis before 7 does not understand that.
 */
function readScript(script: RedisCommands['script']): Script {
  const runFlagged = script('oauthGetGrant', `#!lua flags=no-writes\n${GET_GRANT}`);
  const runPlain = script('oauthGetGrantPlain', GET_GRANT);
  let run: Script = (key) =>
    runFlagged(key).catch((error: unknown) => {
      if (!/compiling script/i.test((error as Error).message)) throw error;
      run = runPlain;
      return runPlain(key);
    });
  return (key) => run(key);
}

function timeToLive(grant: StoredGrant): number {
  return Math.ceil(Math.max(grant.expiresAt - Date.now(), 0)) + GRACE;
}
