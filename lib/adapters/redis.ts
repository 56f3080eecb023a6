import { randomBytes } from 'node:crypto';

import { refuseUnknown, type Adapter, type ClientMetadata, type Consent, type StoredGrant } from './contract';
import { ADVANCE_GRANT, INDEX_GRANT, LIST_GRANTS, SAVE_GRANT } from './redis-scripts';

type Argument = string | number;

/** What the adapter uses of an ioredis client (5 or 6): a `Redis`, through Sentinel or not, or a `Cluster`. */
export interface RedisClient {
  readonly status: string;
  readonly options: object;
  get(key: string): Promise<string | null>;
  getdel(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<unknown>;
  set(key: string, value: string, px: 'PX', milliseconds: number, nx?: 'NX'): Promise<unknown>;
  del(key: string): Promise<number>;
  hget(key: string, field: string): Promise<string | null>;
  zrem(key: string, ...members: string[]): Promise<number>;
  ping(): Promise<unknown>;
  info(): Promise<string>;
  defineCommand(name: string, definition: { numberOfKeys?: number; lua: string }): void;
  once(event: 'ready', listener: () => void): unknown;
}

export interface RedisAdapterOptions {
  /** Begins every key. Two routers that share a Redis and are not one server need two. @defaultValue `'oauth:'` */
  prefix?: string;
}

/** Every function of the contract but `close`: the connection is the host's. */
export type RedisAdapter = Required<Omit<Adapter, 'close'>>;

/** A grant is kept a while after it expired, because machines' clocks differ. Milliseconds. */
const GRACE = 600_000;
/**
 * An index entry is written for so long that a refresh need not touch it: it lies on another slot, and must never go
 * before its grant. Milliseconds.
 */
const INDEX_LIFETIME = 400 * 86_400_000;
/** An entry older than this that has no grant is dead; a younger one may be about to get it. Milliseconds. */
const INDEX_SETTLED = 60_000;
/** The dead entries of a user are removed each time that so many more stand there. */
const PRUNE_EVERY = 100;

interface Scripts {
  oauthSaveGrant(key: string, ...args: Argument[]): Promise<unknown>;
  oauthAdvanceGrant(key: string, ...args: Argument[]): Promise<unknown>;
  oauthIndexGrant(key: string, ...args: Argument[]): Promise<unknown>;
  oauthListGrants(key: string): Promise<unknown>;
}

/**
 * Keeps everything in Redis 6.2 or later: a single node, Sentinel or Cluster. Any number of processes may share it.
 *
 * One key for a grant, and every script touches one key, so that it works on any slot.
 *
 * @throws Error if the client may read from replicas, which would show spent codes as unspent
 * @example
 * const adapter = redisAdapter(new Redis(process.env.REDIS_URL), { prefix: 'my-app:oauth:' });
 */
export function redisAdapter(
  redis: RedisClient,
  { prefix = 'oauth:', ...unknown }: RedisAdapterOptions = {},
): RedisAdapter {
  refuseUnknown('redisAdapter', unknown);
  refuseReplicas(redis);
  if (/[{}]/.test(prefix))
    throw new Error('redisAdapter: the prefix must have no braces, they choose the cluster slot');
  redis.defineCommand('oauthSaveGrant', { numberOfKeys: 1, lua: SAVE_GRANT });
  redis.defineCommand('oauthAdvanceGrant', { numberOfKeys: 1, lua: ADVANCE_GRANT });
  redis.defineCommand('oauthIndexGrant', { numberOfKeys: 1, lua: INDEX_GRANT });
  redis.defineCommand('oauthListGrants', { numberOfKeys: 1, lua: LIST_GRANTS });
  const scripts = redis as unknown as Scripts;
  warnAboutServer(redis);

  const grantKey = (id: string): string => `${prefix}grant:{${id}}`;
  const userKey = (userId: string): string => `${prefix}user:${userId}`;
  const clientKey = (clientId: string): string => `${prefix}client:${clientId}`;
  const consentKey = (userId: string, clientId: string): string =>
    `${prefix}consent:${encodeURIComponent(userId)}:${encodeURIComponent(clientId)}`;
  const stateKey = (key: string): string => `${prefix}state:${key}`;
  const onceKey = (key: string): string => `${prefix}once:${key}`;

  async function getJson<T>(key: string): Promise<T | undefined> {
    const value = await redis.get(key);
    return value === null ? undefined : (JSON.parse(value) as T);
  }

  async function getGrant(grantId: string): Promise<StoredGrant | undefined> {
    const record = await redis.hget(grantKey(grantId), 'record');
    return record === null ? undefined : (JSON.parse(record) as StoredGrant);
  }

  /** @returns until when the entry stands, epoch milliseconds */
  async function index(userId: string, grant: StoredGrant): Promise<number> {
    const now = Date.now();
    const until = Math.ceil(Math.max(now + INDEX_LIFETIME, now + 2 * (grant.expiresAt - now)));
    const entries = await scripts.oauthIndexGrant(userKey(userId), grant.id, now, until);
    // Housekeeping: whatever becomes of it, the entry is written.
    if (Number(entries) % PRUNE_EVERY === 0) await grantsOf(userId).catch(() => undefined);
    return until;
  }

  /** The user's grants; what is found to be dead is removed on the way. */
  async function grantsOf(userId: string): Promise<StoredGrant[]> {
    const flat = (await scripts.oauthListGrants(userKey(userId))) as string[];
    const ids = flat.filter((_, position) => position % 2 === 0);
    const found = await Promise.all(ids.map(getGrant));
    const settled = Date.now() - INDEX_SETTLED;
    const dead = ids.filter((_, position) => !found[position] && Number(flat[2 * position + 1]) < settled);
    if (dead.length > 0) await redis.zrem(userKey(userId), ...dead);
    return found.filter((grant) => grant !== undefined);
  }

  return {
    getClient: (clientId) => getJson<ClientMetadata>(clientKey(clientId)),
    saveClient: (client) => redis.set(clientKey(client.clientId), JSON.stringify(client)),
    deleteClient: (clientId) => redis.del(clientKey(clientId)),

    saveGrant: async (grant) => {
      const indexedUntil = grant.userId === undefined ? 0 : await index(grant.userId, grant);
      // The driver may send a script again whose answer was lost: by the mark it knows its own write.
      const mark = randomBytes(12).toString('base64url');
      const record = JSON.stringify(grant);
      const args = [grant.generation, record, timeToLive(grant), indexedUntil, mark];
      const saved = await scripts.oauthSaveGrant(grantKey(grant.id), ...args);
      if (Number(saved) !== 1) throw new Error('a grant with this id exists');
    },
    getGrant,
    advanceGrant: async (grantId, generation, next) => {
      const mustLast = next.userId === undefined ? 0 : next.expiresAt;
      const advance = (indexedUntil: number): Promise<unknown> =>
        scripts.oauthAdvanceGrant(
          grantKey(grantId),
          generation,
          next.generation,
          JSON.stringify(next),
          timeToLive(next),
          mustLast,
          indexedUntil,
        );
      const outcome = await advance(0);
      if (outcome !== 'INDEX' || next.userId === undefined) return Number(outcome) === 1;
      return Number(await advance(await index(next.userId, next))) === 1;
    },
    revokeGrant: async (grantId) => (await redis.del(grantKey(grantId))) > 0,
    listGrants: grantsOf,

    setOnce: async (key, ttl) => (await redis.set(onceKey(key), '1', 'PX', milliseconds(ttl), 'NX')) === 'OK',
    put: (key, value, ttl) => redis.set(stateKey(key), value, 'PX', milliseconds(ttl)),
    get: (key) => redis.get(stateKey(key)),
    take: (key) => redis.getdel(stateKey(key)),

    getConsent: (userId, clientId) => getJson<Consent>(consentKey(userId, clientId)),
    saveConsent: (consent) =>
      redis.set(consentKey(consent.userId, consent.clientId), JSON.stringify(consent)),
    deleteConsent: (userId, clientId) => redis.del(consentKey(userId, clientId)),

    ping: () => redis.ping(),
  };
}

function milliseconds(seconds: number): number {
  return Math.max(1, Math.ceil(seconds * 1000));
}

function timeToLive(grant: StoredGrant): number {
  return Math.ceil(Math.max(grant.expiresAt - Date.now(), 0)) + GRACE;
}

/** A replica may show a spent code as unspent, and a revoked grant as alive. */
function refuseReplicas({ options }: RedisClient): void {
  const { scaleReads, role } = options as { scaleReads?: unknown; role?: unknown };
  if (scaleReads !== undefined && scaleReads !== 'master') {
    throw new Error('redisAdapter: scaleReads must be "master", a replica may show a spent code as unspent');
  }
  if (role === 'slave') throw new Error('redisAdapter: the Sentinel role must be "master"');
}

function warnAboutServer(redis: RedisClient): void {
  const check = async (): Promise<void> => {
    const info = await redis.info();
    const [, major, minor] = /^redis_version:(\d+)\.(\d+)/m.exec(info) ?? [];
    if (Number(major) < 6 || (Number(major) === 6 && Number(minor) < 2)) {
      process.emitWarning('express-oauth-router needs Redis 6.2 or later');
    }
    const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
    if (policy && policy !== 'noeviction') {
      process.emitWarning(
        `express-oauth-router: Redis may evict grants; set maxmemory-policy noeviction, not ${policy}`,
      );
    }
  };
  // Advice only: a server that forbids INFO works as well.
  const quietly = (): void => void check().catch(() => undefined);
  if (redis.status === 'ready') quietly();
  else redis.once('ready', quietly);
}
