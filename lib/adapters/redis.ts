import { refuseUnknown, type Adapter, type ClientMetadata, type Consent } from './contract';
import { refuseOtherClients, refuseReplicas, warnAboutServer, type RedisClient } from './redis-client';
import { createRedisGrants } from './redis-grants';
import { EXTEND_CLIENT, SAVE_CLIENT } from './redis-scripts';

interface Scripts {
  oauthSaveClient(key: string, record: string, timeToLive: number): Promise<unknown>;
  oauthExtendClient(key: string, timeToLive: number): Promise<unknown>;
}

/** The options of `redisAdapter`. */
export interface RedisAdapterOptions {
  /** The beginning of every key. Two different servers that share a Redis need two prefixes. @defaultValue `'oauth:'` */
  prefix?: string;
}

/** Every function of the contract but `close`: the connection belongs to the host. */
export type RedisAdapter = Required<Omit<Adapter, 'close'>>;

/**
 * Stores everything in Redis 6.2 or later: a single node, Sentinel or Cluster. Any number of processes may share it.
 *
 * A grant has one key, and every script touches one key, so that it works on any slot.
 *
 * @throws TypeError if the client is not an ioredis client
 * @throws Error if the client may read from replicas, which could show spent codes as unspent, or if the prefix contains braces
 * @example
 * const adapter = redisAdapter(new Redis(process.env.REDIS_URL), { prefix: 'my-app:oauth:' });
 */
export function redisAdapter(
  redis: RedisClient,
  { prefix = 'oauth:', ...unknown }: RedisAdapterOptions = {},
): RedisAdapter {
  refuseUnknown('redisAdapter', unknown);
  refuseOtherClients(redis);
  refuseReplicas(redis);
  if (/[{}]/.test(prefix))
    throw new Error('redisAdapter: the prefix must not contain braces, which select the cluster slot');
  warnAboutServer(redis);

  redis.defineCommand('oauthSaveClient', { numberOfKeys: 1, lua: SAVE_CLIENT });
  redis.defineCommand('oauthExtendClient', { numberOfKeys: 1, lua: EXTEND_CLIENT });
  const scripts = redis as unknown as Scripts;

  const clientKey = (clientId: string): string => `${prefix}client:${clientId}`;
  const consentKey = (userId: string, clientId: string): string =>
    `${prefix}consent:${encodeURIComponent(userId)}:${encodeURIComponent(clientId)}`;
  const stateKey = (key: string): string => `${prefix}state:${key}`;
  const onceKey = (key: string): string => `${prefix}once:${key}`;

  async function getJson<T>(key: string): Promise<T | undefined> {
    const value = await redis.get(key);
    return value === null ? undefined : (JSON.parse(value) as T);
  }

  return withoutArguments({
    getClient: (clientId) => getJson<ClientMetadata>(clientKey(clientId)),
    saveClient: (client, ttl) =>
      scripts.oauthSaveClient(clientKey(client.clientId), JSON.stringify(client), timeToLive(ttl)),
    replaceClient: async (client) =>
      (await redis.set(clientKey(client.clientId), JSON.stringify(client), 'KEEPTTL', 'XX')) === 'OK',
    extendClient: async (clientId, ttl) =>
      Number(await scripts.oauthExtendClient(clientKey(clientId), timeToLive(ttl))) === 1,
    deleteClient: (clientId) => redis.del(clientKey(clientId)),

    ...createRedisGrants(redis, prefix),

    setOnce: async (key, ttl) => (await redis.set(onceKey(key), '1', 'PX', milliseconds(ttl), 'NX')) === 'OK',
    put: (key, value, ttl) => redis.set(stateKey(key), value, 'PX', milliseconds(ttl)),
    get: (key) => redis.get(stateKey(key)),
    take: (key) => redis.getdel(stateKey(key)),

    getConsent: (userId, clientId) => getJson<Consent>(consentKey(userId, clientId)),
    saveConsent: (consent) =>
      redis.set(consentKey(consent.userId, consent.clientId), JSON.stringify(consent)),
    deleteConsent: (userId, clientId) => redis.del(consentKey(userId, clientId)),

    ping: () => redis.ping(),
  });
}

/** ioredis attaches the failed command with its arguments: they are the values that were to be stored. */
function withoutArguments(adapter: RedisAdapter): RedisAdapter {
  const run =
    (call: (...args: never[]) => unknown) =>
    async (...args: never[]): Promise<unknown> => {
      try {
        return await call(...args);
      } catch (thrown) {
        removeCommands(thrown);
        throw thrown;
      }
    };
  const functions = Object.entries(adapter).map(([name, call]) => [name, run(call)]);
  return Object.fromEntries(functions) as RedisAdapter;
}

/** Removes the commands of an error and of the errors that caused it, such as those of a cluster's nodes. */
function removeCommands(thrown: unknown, depth = 0): void {
  if (typeof thrown !== 'object' || thrown === null || depth > MAXIMUM_DEPTH) return;
  const error = thrown as {
    command?: unknown;
    cause?: unknown;
    lastNodeError?: unknown;
    previousErrors?: unknown;
  };
  delete error.command;
  const { cause, lastNodeError, previousErrors } = error;
  for (const inner of [cause, lastNodeError, previousErrors].flat()) removeCommands(inner, depth + 1);
}

const MAXIMUM_DEPTH = 4;

/** Returns the time to live of a client in milliseconds; 0 stands for none. */
function timeToLive(seconds: number | undefined): number {
  return seconds === undefined ? 0 : milliseconds(seconds);
}

function milliseconds(seconds: number): number {
  return Math.max(1, Math.ceil(seconds * 1000));
}
