/** The part of an ioredis client (5 or 6) that the adapter uses: a `Redis`, also through Sentinel, or a `Cluster`. */
export interface RedisClient {
  /** The state of the connection. */
  readonly status: string;
  /** The options of the client. */
  readonly options: object;
  /** `GET`. */
  get(key: string): Promise<string | null>;
  /** `GETDEL`. */
  getdel(key: string): Promise<string | null>;
  /** `SET`. */
  set(key: string, value: string): Promise<unknown>;
  /** `SET` with `PX`, and optionally `NX`. */
  set(key: string, value: string, px: 'PX', milliseconds: number, nx?: 'NX'): Promise<unknown>;
  /** `SET` with `KEEPTTL` and `XX`. */
  set(key: string, value: string, keepTtl: 'KEEPTTL', xx: 'XX'): Promise<unknown>;
  /** `DEL`. */
  del(key: string): Promise<number>;
  /** `HGET`. */
  hget(key: string, field: string): Promise<string | null>;
  /** `ZREM`. */
  zrem(key: string, ...members: string[]): Promise<number>;
  /** `PING`. */
  ping(): Promise<unknown>;
  /** `INFO`. */
  info(): Promise<string>;
  /** Defines a command that runs a script. */
  defineCommand(name: string, definition: { numberOfKeys?: number; lua: string }): void;
  /** Adds a listener for the next `ready` event. */
  once(event: 'ready', listener: () => void): unknown;
}

/** Refuses a value that is not an ioredis client. @throws TypeError with a message that names the kind of value */
export function refuseOtherClients(redis: unknown): void {
  const expected = 'redisAdapter() takes a client of the package ioredis';
  if (typeof redis === 'string' || redis instanceof URL)
    throw new TypeError(`${expected}, not a URL: redisAdapter(new Redis(url))`);
  if (typeof redis !== 'object' || redis === null) throw new TypeError(`${expected}, not ${String(redis)}`);
  const client = redis as Partial<Record<string, unknown>>;
  if (typeof client.defineCommand === 'function' && typeof client.options === 'object') return;
  if (typeof client.sendCommand === 'function')
    throw new TypeError(`${expected}: this is a client of another package, such as redis`);
  throw new TypeError(`${expected}: this object has no defineCommand()`);
}

/** Refuses a client that reads from replicas: a replica may show a spent code as unspent, and a revoked grant as active. */
export function refuseReplicas({ options }: RedisClient): void {
  const { scaleReads, role } = options as { scaleReads?: unknown; role?: unknown };
  if (scaleReads !== undefined && scaleReads !== 'master') {
    throw new Error('redisAdapter: scaleReads must be "master": a replica may show a spent code as unspent');
  }
  if (role === 'slave') throw new Error('redisAdapter: the Sentinel role must be "master"');
}

/** Warns about a server that is too old, or that may evict grants. */
export function warnAboutServer(redis: RedisClient): void {
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
  // A server that forbids INFO works too: the warning is only advice.
  const quietly = (): void => void check().catch(() => undefined);
  if (redis.status === 'ready') quietly();
  else redis.once('ready', quietly);
}
