import { refuseUnknown } from './contract';
import { createSqlAdapter, type SqlAdapter } from './sql';
import { tablesOf } from './sql-schema';

export type { SqlAdapter } from './sql';

/** What the adapter uses of a database: a `Database` of better-sqlite3 12, or a `DatabaseSync` of `node:sqlite`. */
export interface SqliteDatabase {
  /** Compiles a statement. */
  prepare(statement: string): SqliteStatement;
  /** Runs statements without parameters. */
  exec(statements: string): unknown;
}

/** A compiled statement. */
export interface SqliteStatement {
  /** Runs the statement with named parameters, and returns its rows. */
  all(parameters: Record<string, string | number | null>): unknown[];
}

/** The options of `sqliteAdapter`. */
export interface SqliteAdapterOptions {
  /** The beginning of the tables' names: letters, digits and `_`. @defaultValue `'oauth_'` */
  prefix?: string;
  /** The clock by which state and clients expire, which returns epoch milliseconds. @defaultValue `Date.now` */
  clock?: () => number;
}

/** How long a statement waits for another process that is writing. Milliseconds. */
const BUSY_TIMEOUT = 2000;

/**
 * Stores everything in a SQLite database of version 3.37 or later, in tables that are created if they are missing. Several processes
 * on one machine may share the file.
 *
 * The database keeps a write-ahead log, and a write is on the disk before its function returns: a code that was redeemed stays so even
 * if the machine loses power. Use a connection of its own, because these settings are those of the connection.
 *
 * @throws TypeError if it is no database, or for an unknown option or a prefix with other characters
 * @throws the driver's error if the database cannot be written
 * @example
 * import Database from 'better-sqlite3';
 * const adapter = sqliteAdapter(new Database('oauth.db'));
 * setInterval(() => adapter.sweep().catch(report), 600_000).unref();
 */
export function sqliteAdapter(
  database: SqliteDatabase,
  { prefix = 'oauth_', clock = () => Date.now(), ...unknown }: SqliteAdapterOptions = {},
): SqlAdapter {
  refuseUnknown('sqliteAdapter', unknown);
  refuseOthers(database);
  if (!/^[a-z_]\w{0,39}$/i.test(prefix))
    throw new TypeError('sqliteAdapter: prefix must have letters, digits and _ only');
  const name = (own: string): string => `"${prefix}${own}"`;

  database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}`);
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = FULL');
  const tables = tablesOf({ text: 'TEXT', integer: 'INTEGER', suffix: ' STRICT', name });
  // Two processes may start at once: the second one waits for the first.
  database.exec('BEGIN IMMEDIATE');
  try {
    database.exec(`${tables.join('; ')}; COMMIT`);
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }

  const statements = new Map<string, SqliteStatement>();
  function prepared(text: string): SqliteStatement {
    const known = statements.get(text);
    if (known) return known;
    const statement = database.prepare(text);
    statements.set(text, statement);
    return statement;
  }

  return createSqlAdapter({
    query: (text, values) =>
      new Promise((resolve) => {
        // The name of a parameter is what follows the dollar.
        const parameters = Object.fromEntries(values.map((value, index) => [index + 1, value]));
        resolve(
          prepared(text).all(
            text.includes('$now') ? { ...parameters, now: Math.floor(clock()) } : parameters,
          ),
        );
      }),
    now: '$now',
    written: '$now',
    // There is one writer at a time.
    forChange: '',
    forDeletion: '',
    table: name,
  });
}

/** @throws TypeError with a message that names the kind of value */
function refuseOthers(database: unknown): void {
  const expected = 'sqliteAdapter() takes a database of better-sqlite3 or node:sqlite';
  if (typeof database === 'string')
    throw new TypeError(`${expected}, not a file name: sqliteAdapter(new Database(file))`);
  const { prepare, exec } = (database ?? {}) as Partial<Record<string, unknown>>;
  if (typeof prepare !== 'function' || typeof exec !== 'function') throw new TypeError(expected);
}
