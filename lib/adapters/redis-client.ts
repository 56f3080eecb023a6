import type { Writable } from 'node:stream';

/** The commands that the adapter sends, besides scripts. */
export type RedisCommandName = 'get' | 'set' | 'del' | 'zrem' | 'zadd' | 'zrangebylex' | 'zrandmember';

/** The part of an ioredis client (5 or 6) that the adapter uses: a `Redis`, also through Sentinel, or a `Cluster`. */
export type IoredisClient = Record<RedisCommandName, (key: string, ...args: never[]) => Promise<unknown>> & {
  /** The connection of a `Redis`, once there is one. */
  readonly stream?: Pick<Writable, 'cork' | 'uncork'>;
  /** Whether it is a `Cluster`. */
  readonly isCluster?: boolean;
  /** The clients of the nodes of a `Cluster`. */
  nodes?(role: 'master'): readonly Pick<IoredisClient, 'stream'>[];
  /** The state of the connection. */
  readonly status: string;
  /** The options of the client. */
  readonly options: object;
  /** `PING`. */
  ping(): Promise<unknown>;
  /** `INFO`. */
  info(): Promise<string>;
  /** Defines a command that runs a script. */
  defineCommand(name: string, definition: { numberOfKeys?: number; lua: string }): void;
  /** Adds a listener for the next `ready` event. */
  once(event: 'ready', listener: () => void): unknown;
};

/**
 * The part of a client of the package `redis` (5 or 6) that the adapter uses: that of `createClient()`, `createClientPool()`,
 * `createCluster()` or `createSentinel()`.
 */
export interface NodeRedisClient {
  /** Whether commands can be sent. */
  readonly isReady?: boolean;
  /** Sends a command. Its arguments differ between the kinds of clients. */
  sendCommand(...args: never[]): Promise<unknown>;
  /** Adds a listener. */
  on(event: string, listener: () => void): unknown;
  /** Adds a listener for the next event. */
  once(event: string, listener: () => void): unknown;
  /** The number of listeners. */
  listenerCount(event: string): number;
}

/** A client of ioredis, or of the package `redis`. */
export type RedisClient = IoredisClient | NodeRedisClient;

export function isIoredis(client: RedisClient): client is IoredisClient {
  return 'defineCommand' in client;
}

/** Refuses a value that is no client. @throws TypeError with a message that names the kind of value */
export function refuseOtherClients(redis: unknown): void {
  const expected = 'redisAdapter() takes a client of the package ioredis or redis';
  if (typeof redis === 'string' || redis instanceof URL)
    throw new TypeError(`${expected}, not a URL: redisAdapter(new Redis(url))`);
  if (typeof redis !== 'object' || redis === null) throw new TypeError(`${expected}, not ${String(redis)}`);
  const client = redis as Partial<Record<string, unknown>>;
  if (typeof client.defineCommand === 'function' && typeof client.options === 'object') return;
  if (typeof client.sendCommand === 'function' && typeof client.listenerCount === 'function') return;
  throw new TypeError(`${expected}: this object has neither defineCommand() nor sendCommand()`);
}

/**
 * Refuses a client that reads from replicas: a replica may show a spent code as unspent, and a revoked grant as active. A client of the
 * package `redis` reads from the master unless a command says otherwise, and none of ours does.
 */
export function refuseReplicas({ options }: IoredisClient): void {
  const { scaleReads, role } = options as { scaleReads?: unknown; role?: unknown };
  if (scaleReads !== undefined && scaleReads !== 'master') {
    throw new Error('redisAdapter: scaleReads must be "master": a replica may show a spent code as unspent');
  }
  if (role === 'slave') throw new Error('redisAdapter: the Sentinel role must be "master"');
}
