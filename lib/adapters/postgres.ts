import { refuseUnknown } from './contract';
import { createSqlAdapter, type SqlAdapter, type SqlDialect } from './sql';
import { tablesOf, type SchemaDialect } from './sql-schema';

export type { SqlAdapter } from './sql';

/**
 * What the adapter uses of a client: a `Pool` or a `Client` of the package `pg`, or an object around any other driver.
 *
 * @example
 * // the package postgres
 * const client = { query: async (text, values) => ({ rows: await sql.unsafe(text, values) }) };
 */
export interface PostgresClient {
  /** Runs a statement with the parameters `$1`, `$2` and so on. */
  query(text: string, values?: unknown[]): Promise<PostgresResult>;
}

/** What the adapter uses of a result. */
export interface PostgresResult {
  /** An object for each row, or nothing for statements without rows. */
  rows: unknown[];
}

/** The options of `pgAdapter`. */
export interface PgAdapterOptions {
  /** The beginning of the tables' names: small letters, digits and `_`. @defaultValue `'oauth_'` */
  prefix?: string;
  /** The schema of the tables: small letters, digits and `_`. @defaultValue the first one of the connection's `search_path` */
  schema?: string;
}

/** A step of the schema. */
export interface PgMigration {
  /** 1 is the first one. */
  readonly version: number;
  /** Statements without parameters. They change nothing if they were run before. */
  readonly sql: string;
}

/** SQLSTATE: a transaction could not be serialized, or was the victim of a deadlock. Nothing has been done. */
const NOT_DONE = ['40001', '40P01'];
const ATTEMPTS = 5;
/** How many causes of an error are looked at. */
const MAXIMUM_CAUSES = 4;
/** The present moment of the database's clock: machines' clocks need not agree about what has expired. */
const NOW = '(extract(epoch FROM statement_timestamp()) * 1000)::bigint';
/** The moment of the evaluation. */
const WRITTEN = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

/**
 * Stores everything in PostgreSQL 12 or later, in tables that `migrate()` or `npx express-oauth-router migrate` creates. Any number of
 * processes may share them.
 *
 * Each function is one statement. A statement that the database could not serialize is repeated, because nothing of it was done.
 *
 * @throws TypeError if the client has no `query()`, or for an unknown option or a name with other characters
 * @example
 * const pool = new Pool({ connectionString, connectionTimeoutMillis: 2000, statement_timeout: 3000 });
 * const adapter = pgAdapter(pool);
 * setInterval(() => adapter.sweep().catch(report), 600_000).unref();
 */
export function pgAdapter(client: PostgresClient, options: PgAdapterOptions = {}): SqlAdapter {
  refuseOtherClients(client);
  const names = namesOf('pgAdapter', options);
  surviveRestarts(client);
  const query = async (statement: string, values: readonly unknown[]): Promise<readonly unknown[]> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return (await client.query(statement, [...values])).rows;
      } catch (error) {
        if (attempt === ATTEMPTS || !isNotDone(error)) throw error;
      }
    }
  };
  const dialect: SqlDialect = {
    query,
    now: NOW,
    written: WRITTEN,
    forChange: ' FOR UPDATE',
    // A row that another transaction has just prolonged is left alone, and nobody waits for the clean-up.
    forDeletion: ' FOR UPDATE SKIP LOCKED',
    table: (name) => names.name(name, 'table'),
  };
  // A driver that answers in another form works too: the warnings are only advice.
  warnAboutServer(client, dialect.table('grants')).catch(() => undefined);
  const adapter = createSqlAdapter(dialect);
  return {
    ...adapter,
    ping: async () => {
      const [row] = await query('SELECT pg_is_in_recovery() AS result', []);
      if ((row as { result?: unknown } | undefined)?.result === true)
        throw new Error('this database is a replica, which may show spent codes as unspent');
      return adapter.ping();
    },
  };
}

/**
 * Returns the steps that create the tables, for a migration tool. Each is safe to repeat.
 *
 * @throws TypeError for an unknown option or a name with other characters
 */
export function pgMigrations(options: PgAdapterOptions = {}): readonly PgMigration[] {
  const names = namesOf('pgMigrations', options);
  return [{ version: 1, sql: `${tablesOf(names).join(';\n')};` }];
}

/**
 * Creates the tables, or brings them up to date. Several processes may call it at once.
 *
 * @throws TypeError for an unknown option or a name with other characters
 * @throws the driver's error if the database refuses
 */
export async function migrate(client: PostgresClient, options: PgAdapterOptions = {}): Promise<void> {
  for (const { sql } of pgMigrations(options)) {
    // One statement is one transaction, in any driver. CREATE … IF NOT EXISTS fails if two processes run it at once.
    const block = `BEGIN PERFORM pg_advisory_xact_lock(${MIGRATION_LOCK});\n${sql}\nEND`;
    await client.query(`DO $migration$ ${block} $migration$`);
  }
}

/** An arbitrary number, which other applications of the database do not use. */
const MIGRATION_LOCK = 7_263_910_482;

/** Whether the database has done nothing of a statement. The error of the database may be inside that of a query builder. */
function isNotDone(thrown: unknown, depth = 0): boolean {
  const { code, cause } = (thrown ?? {}) as { code?: unknown; cause?: unknown };
  return (
    NOT_DONE.some((state) => state === code) ||
    (cause !== undefined && depth < MAXIMUM_CAUSES && isNotDone(cause, depth + 1))
  );
}

/** @throws TypeError */
function namesOf(source: string, { prefix = 'oauth_', schema, ...unknown }: PgAdapterOptions): SchemaDialect {
  refuseUnknown(source, unknown);
  for (const [option, value] of Object.entries({ prefix, schema })) {
    if (value !== undefined && !/^[a-z_][a-z0-9_]{0,39}$/.test(value))
      throw new TypeError(`${source}: ${option} must have small letters, digits and _ only`);
  }
  return {
    // Bytes are compared: the order of a collation may change with an update of the operating system, and breaks the index then.
    text: 'text COLLATE "C"',
    integer: 'bigint',
    suffix: '',
    name: (name, kind) =>
      kind === 'table' && schema !== undefined ? `"${schema}"."${prefix}${name}"` : `"${prefix}${name}"`,
  };
}

/** @throws TypeError with a message that names the kind of value */
function refuseOtherClients(client: unknown): void {
  const expected = 'pgAdapter() takes a Pool of the package pg';
  if (typeof client === 'string' || client instanceof URL)
    throw new TypeError(`${expected}, not a URL: pgAdapter(new Pool({ connectionString }))`);
  if (typeof client === 'function')
    throw new TypeError(`${expected}; for the package postgres, see the docstring of PostgresClient`);
  if (typeof (client as { query?: unknown } | null | undefined)?.query !== 'function')
    throw new TypeError(`${expected}, or an object with query()`);
}

/** The parts of a pool of `pg` that other drivers need not have. */
interface Pool {
  readonly options?: { readonly connectionTimeoutMillis?: number };
  readonly on?: (event: 'error', listener: () => void) => unknown;
  readonly listenerCount?: (event: 'error') => number;
}

/**
 * Listens to the errors of idle connections if the host does not: a restart of the database would end the process. The pool replaces
 * the connection by itself.
 */
function surviveRestarts(client: PostgresClient): void {
  const pool = client as Pool;
  if (typeof pool.on === 'function' && pool.listenerCount?.('error') === 0) pool.on('error', () => undefined);
}

/** The clients whose settings have been looked at: many adapters may share one. */
const seen = new WeakSet<PostgresClient>();

/** Warns about missing tables and, once for each client, about a replica and settings that let requests wait too long. */
async function warnAboutServer(client: PostgresClient, table: string): Promise<void> {
  const warn = (warning: string): void => process.emitWarning(`express-oauth-router: ${warning}`);
  const isNew = !seen.has(client);
  seen.add(client);
  const { options } = client as Pool;
  if (isNew && options !== undefined && !options.connectionTimeoutMillis)
    warn('set connectionTimeoutMillis of the pool to less than storeTimeout: requests wait for a connection');
  const statement = `SELECT current_setting('statement_timeout') AS timeout, to_regclass($1) IS NOT NULL AS migrated,
    pg_is_in_recovery() AS replica`;
  const {
    rows: [row],
  } = await client.query(statement, [table]);
  const { timeout, migrated, replica } = row as { timeout: unknown; migrated: unknown; replica: unknown };
  if (isNew && timeout === '0')
    warn('set statement_timeout to less than storeTimeout: a statement may run after its request has ended');
  if (migrated === false)
    warn(`the table ${table} is missing: run npx express-oauth-router migrate, or migrate()`);
  if (isNew && replica === true) warn('this database is a replica, which may show spent codes as unspent');
}
