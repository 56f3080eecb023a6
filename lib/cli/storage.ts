import path from 'node:path';
import { pathToFileURL } from 'node:url';

import type { Adapter } from '../adapters/contract';
import { pgAdapter, type PostgresClient } from '../adapters/postgres';
import { redisAdapter } from '../adapters/redis';
import type { NodeRedisClient, RedisClient } from '../adapters/redis-client';
import { sqliteAdapter, type SqliteDatabase } from '../adapters/sqlite';
import { definedMembers } from '../json';
import { loadPackage } from './packages';
import { UsageError } from './usage-error';

/** The options that name a storage: exactly one of the first four. */
export interface StorageFlags {
  readonly adapter?: string | undefined;
  readonly redis?: string | undefined;
  readonly postgres?: string | undefined;
  readonly sqlite?: string | undefined;
  readonly prefix?: string | undefined;
  readonly schema?: string | undefined;
}

const STORAGES = {
  adapter: adapterOfModule,
  redis: redisOf,
  postgres: (url: string, names: NameOptions) => Promise.resolve(pgAdapter(openPostgres(url), names)),
  sqlite: (file: string, { prefix }: NameOptions) =>
    Promise.resolve(sqliteAdapter(openSqlite(file), definedMembers({ prefix }))),
} satisfies Partial<Record<keyof StorageFlags, (value: string, names: NameOptions) => Promise<Adapter>>>;

interface NameOptions {
  prefix?: string;
  schema?: string;
}

/** Opens the storage that the flags name. Its connections end with the process. @throws UsageError */
export async function openStorage({ prefix, schema, ...flags }: StorageFlags): Promise<Adapter> {
  const names = Object.keys(STORAGES) as (keyof typeof STORAGES)[];
  const given = names.filter((name) => flags[name] !== undefined);
  const [name] = given;
  if (name === undefined || given.length > 1 || flags[name] === '')
    throw new UsageError('name one storage: --adapter FILE, --redis URL, --postgres URL or --sqlite FILE');
  return STORAGES[name](flags[name] ?? '', definedMembers({ prefix, schema }));
}

/** Without a URL, the variables `PGHOST`, `PGDATABASE` and so on decide. */
export function openPostgres(connectionString: string): PostgresClient {
  const { Pool } = loadPackage('pg') as { Pool: new (options: object) => PostgresClient };
  return new Pool({
    ...(connectionString !== '' && { connectionString }),
    connectionTimeoutMillis: 10_000,
  });
}

function openSqlite(file: string): SqliteDatabase {
  type Open = new (file: string) => SqliteDatabase;
  const driver = loadPackage('node:sqlite', 'better-sqlite3') as Open | { DatabaseSync: Open };
  const Database = 'DatabaseSync' in driver ? driver.DatabaseSync : driver;
  return new Database(file);
}

async function redisOf(url: string, { prefix }: NameOptions): Promise<Adapter> {
  type Package =
    | { createClient(options: object): NodeRedisClient & { connect(): Promise<unknown> } }
    | { Redis: new (url: string) => RedisClient };
  const driver = loadPackage('ioredis', 'redis') as Package;
  if ('Redis' in driver) return redisAdapter(new driver.Redis(url), definedMembers({ prefix }));
  // A person waits: one attempt is enough.
  const client = driver.createClient({ url, socket: { reconnectStrategy: false } });
  const adapter = redisAdapter(client, definedMembers({ prefix }));
  await client.connect();
  return adapter;
}

/** Takes the default export of a module, or its export `adapter`: an adapter, or a function that returns one. */
async function adapterOfModule(file: string): Promise<Adapter> {
  const url = pathToFileURL(path.resolve(file)).href;
  const exported = (await import(url)) as { adapter?: unknown; default?: unknown };
  const inner = exported.default as { adapter?: unknown; default?: unknown } | undefined;
  const candidates = [exported.adapter, inner?.adapter, inner?.default, inner];
  for (const candidate of candidates) {
    const adapter = (typeof candidate === 'function' ? await (candidate as () => unknown)() : candidate) as
      Partial<Adapter> | undefined;
    if (typeof adapter?.getClient === 'function') return adapter as Adapter;
  }
  throw new UsageError(`${file} exports no adapter, as "adapter" or by default`);
}
