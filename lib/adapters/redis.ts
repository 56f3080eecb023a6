import { milliseconds, refuseUnknown, type Adapter, type Consent } from './contract';
import { isIoredis, refuseOtherClients, refuseReplicas, type RedisClient } from './redis-client';
import { createRedisClients } from './redis-clients';
import { callMark, createRedisCommands } from './redis-commands';
import { createRedisGrants } from './redis-grants';
import { SET_ONCE, TAKE, TAKEN } from './redis-scripts';
import { warnAboutServer } from './redis-server';

/** The options of `redisAdapter`. */
export interface RedisAdapterOptions {
  /** The beginning of every key. Two different servers that share a Redis need two prefixes. @defaultValue `'oauth:'` */
  prefix?: string;
}

/** Every function of the contract but `close`: the connection belongs to the host. */
export type RedisAdapter = Required<Omit<Adapter, 'close'>>;

/**
 * Stores everything in Redis 6.2 or later: a single node, Sentinel or Cluster. Any number of processes may share it. The client is one of
 * ioredis, or one of the package `redis` that the host has connected.
 *
 * A grant has one key, and every script touches one key, so that it works on any slot.
 *
 * @throws TypeError if it is no such client
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
  if (isIoredis(redis)) refuseReplicas(redis);
  if (/[{}]/.test(prefix))
    throw new Error('redisAdapter: the prefix must not contain braces, which select the cluster slot');
  const commands = createRedisCommands(redis);
  warnAboutServer(redis, commands);
  const { command, script } = commands;
  const runSetOnce = script('oauthSetOnce', SET_ONCE);
  const runTake = script('oauthTake', TAKE);

  const consentKey = (userId: string, clientId: string): string =>
    `${prefix}consent:${encodeURIComponent(userId)}:${encodeURIComponent(clientId)}`;
  const stateKey = (key: string): string => `${prefix}state:${key}`;
  const onceKey = (key: string): string => `${prefix}once:${key}`;

  return withoutArguments({
    ...createRedisClients(commands, prefix),
    ...createRedisGrants(commands, prefix),

    setOnce: async (key, ttl) => Number(await runSetOnce(onceKey(key), callMark(), milliseconds(ttl))) === 1,
    put: (key, value, ttl) => command('set', stateKey(key), value, 'PX', milliseconds(ttl)),
    get: async (key) => {
      const stored = (await command('get', stateKey(key))) as string | null;
      return stored?.startsWith(TAKEN) ? null : stored;
    },
    take: async (key) => (await runTake(stateKey(key), callMark(), RESEND_WINDOW)) as string | null,

    getConsent: async (userId, clientId) => {
      const record = (await command('get', consentKey(userId, clientId))) as string | null;
      return record === null ? undefined : (JSON.parse(record) as Consent);
    },
    saveConsent: (consent) =>
      command('set', consentKey(consent.userId, consent.clientId), JSON.stringify(consent)),
    deleteConsent: (userId, clientId) => command('del', consentKey(userId, clientId)),

    ping: () => commands.ping(),
  });
}

/** How long a value that was taken is kept for the call that took it. Milliseconds. */
const RESEND_WINDOW = 30_000;

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
