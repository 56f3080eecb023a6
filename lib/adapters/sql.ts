import {
  milliseconds,
  withAge,
  type Adapter,
  type ClientMetadata,
  type Consent,
  type StoredGrant,
} from './contract';
import { TABLES, type TableName } from './sql-schema';

/** A value of a parameter. */
export type SqlValue = string | number | null;

/** What differs between the databases in a statement. */
export interface SqlDialect {
  /** Runs a statement whose parameters are `$1`, `$2` and so on, and returns its rows. */
  query(statement: string, values: readonly SqlValue[]): Promise<readonly unknown[]>;
  /** An expression for the present moment: epoch milliseconds. */
  readonly now: string;
  /** An expression for the moment at which a row is written, after the statement has waited for it: epoch milliseconds. */
  readonly written: string;
  /** What follows a selection of the row that will be changed: it waits for other transactions. */
  readonly forChange: string;
  /** What follows a selection of rows that will be deleted. */
  readonly forDeletion: string;
  /** The quoted name of a table. */
  table(name: TableName): string;
}

/** An adapter with every function of the contract but `close`, because the connection belongs to the host, and the clean-up. */
export interface SqlAdapter extends Required<Omit<Adapter, 'close'>> {
  /** Deletes what has expired, in parts of 1000 rows. Returns the number of deleted rows. Run it every few minutes. */
  sweep(): Promise<number>;
}

/** How long a grant is kept after its expiry, because processes' clocks differ. Milliseconds. */
const GRACE = 600_000;
/** How many rows the clean-up deletes at once: no transaction is long. */
const SWEPT_AT_ONCE = 1000;

/** The ways to run a statement, and the names in it. */
interface Statements extends Pick<SqlDialect, 'query' | 'now' | 'written' | 'forChange' | 'table'> {
  /** Whether a statement found or changed a row. */
  any(statement: string, values: readonly SqlValue[]): Promise<boolean>;
  /** Returns the column `result` of the only row. */
  text(statement: string, values: readonly SqlValue[]): Promise<string | undefined>;
  /** Returns the JSON in the column `result` of the only row. */
  json<T>(statement: string, values: readonly SqlValue[]): Promise<T | undefined>;
  /** Returns the JSON in the column `result` of all rows. */
  list<T>(statement: string, values: readonly SqlValue[]): Promise<T[]>;
}

/**
 * Creates an adapter on the tables of `sql-schema.ts`. Each function is one statement, and so atomic by itself: what a statement has
 * found or changed is told by the rows that it returns.
 */
export function createSqlAdapter(dialect: SqlDialect): SqlAdapter {
  const { query, now, written, forChange, table } = dialect;
  const textOf = (row: unknown): string => (row as { result: string }).result;
  const statements: Statements = {
    query,
    now,
    written,
    forChange,
    table,
    any: async (statement, values) => (await query(statement, values)).length > 0,
    text: async (statement, values) => (await query(statement, values)).map(textOf)[0],
    json: async (statement, values) => (await statements.list<never>(statement, values))[0],
    list: async <T>(statement: string, values: readonly SqlValue[]) =>
      (await query(statement, values)).map((row) => JSON.parse(textOf(row)) as T),
  };
  return {
    ...sqlClients(statements),
    ...sqlGrants(statements),
    ...sqlState(statements),
    ...sqlConsents(statements),
    // It names every table: a missing one is found before a request needs it.
    ping: () => {
      const found = TABLES.map((name) => `EXISTS (SELECT 1 FROM ${table(name)})`);
      return query(`SELECT 1 AS result WHERE ${found.join(' OR ')}`, []);
    },
    sweep: async () => {
      let deleted = 0;
      for (const [name, key, grace] of SWEPT) deleted += await sweepTable(dialect, name, key, grace);
      return deleted;
    },
  };
}

type Functions<Name extends keyof Adapter> = Required<Pick<Adapter, Name>>;

function sqlClients({
  query,
  any,
  json,
  list,
  now,
  table,
}: Statements): Functions<
  'getClient' | 'saveClient' | 'replaceClient' | 'extendClient' | 'deleteClient' | 'listClients'
> {
  const clients = table('clients');
  const isLive = `(expires_at IS NULL OR expires_at > ${now})`;
  return {
    getClient: (clientId) =>
      json<ClientMetadata>(`SELECT record AS result FROM ${clients} WHERE client_id = $1 AND ${isLive}`, [
        clientId,
      ]),
    saveClient: (client, ttl) =>
      query(
        `INSERT INTO ${clients} AS stored (client_id, expires_at, record)
          VALUES ($1, ${now} + CAST($2 AS bigint), $3)
          ON CONFLICT (client_id) DO UPDATE SET record = excluded.record,
            expires_at = CASE WHEN stored.expires_at <= ${now} THEN excluded.expires_at ELSE stored.expires_at END
          RETURNING client_id`,
        [client.clientId, lifetime(ttl), JSON.stringify(client)],
      ),
    replaceClient: (client) =>
      any(`UPDATE ${clients} SET record = $2 WHERE client_id = $1 AND ${isLive} RETURNING client_id`, [
        client.clientId,
        JSON.stringify(client),
      ]),
    extendClient: (clientId, ttl) =>
      any(
        `UPDATE ${clients}
          SET expires_at = CASE WHEN CAST($2 AS bigint) IS NULL OR expires_at IS NULL THEN NULL
            WHEN expires_at > ${now} + CAST($2 AS bigint) THEN expires_at ELSE ${now} + CAST($2 AS bigint) END
          WHERE client_id = $1 AND ${isLive} RETURNING client_id`,
        [clientId, lifetime(ttl)],
      ),
    deleteClient: (clientId) =>
      any(`DELETE FROM ${clients} WHERE client_id = $1 RETURNING client_id`, [clientId]),
    // No id is empty.
    listClients: (after, limit) =>
      list<ClientMetadata>(
        `SELECT record AS result FROM ${clients} WHERE client_id > $1 AND ${isLive} ORDER BY client_id LIMIT CAST($2 AS bigint)`,
        [after ?? '', limit],
      ),
  };
}

function sqlGrants({
  query,
  any,
  list,
  now,
  written,
  forChange,
  table,
}: Statements): Functions<'saveGrant' | 'getGrant' | 'advanceGrant' | 'revokeGrant' | 'listGrants'> {
  const grants = table('grants');
  /** What changes with the record: `generation`, `user_id`, `expires_at`, `record`. */
  const columnsOf = (grant: StoredGrant): SqlValue[] => [
    grant.generation,
    grant.userId ?? null,
    Math.ceil(grant.expiresAt),
    JSON.stringify(grant),
  ];
  return {
    saveGrant: (grant) =>
      query(
        `INSERT INTO ${grants} (id, client_id, generation, user_id, expires_at, record, advanced_at)
          VALUES ($1, $2, $3, $4, $5, $6, ${written}) RETURNING id`,
        [grant.id, grant.clientId, ...columnsOf(grant)],
      ),
    getGrant: async (grantId) => {
      const statement = `SELECT record, ${now} - advanced_at AS age FROM ${grants} WHERE id = $1`;
      const [row] = (await query(statement, [grantId])) as { record: string; age: number | string }[];
      return row && withAge(JSON.parse(row.record) as StoredGrant, Number(row.age));
    },
    advanceGrant: (grantId, generation, next) =>
      any(
        // The row is locked first: the values of an UPDATE are computed before it waits.
        `WITH unchanged AS (SELECT id AS found FROM ${grants} WHERE id = $1 AND generation = $2${forChange})
          UPDATE ${grants} SET generation = $3, user_id = $4, expires_at = $5, record = $6,
            advanced_at = CASE WHEN generation = $3 THEN advanced_at ELSE ${written} END
          FROM unchanged WHERE id = found RETURNING id`,
        [grantId, generation, ...columnsOf(next)],
      ),
    revokeGrant: (grantId) => any(`DELETE FROM ${grants} WHERE id = $1 RETURNING id`, [grantId]),
    listGrants: (userId) =>
      list<StoredGrant>(`SELECT record AS result FROM ${grants} WHERE user_id = $1`, [userId]),
  };
}

function sqlState({
  query,
  any,
  text,
  now,
  table,
}: Statements): Functions<'setOnce' | 'put' | 'get' | 'take'> {
  const state = table('state');
  return {
    setOnce: (key, ttl) =>
      any(
        `INSERT INTO ${table('once')} AS stored (key, expires_at) VALUES ($1, ${now} + CAST($2 AS bigint))
          ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at WHERE stored.expires_at <= ${now}
          RETURNING key`,
        [key, milliseconds(ttl)],
      ),
    put: (key, value, ttl) =>
      query(
        `INSERT INTO ${state} (key, value, expires_at) VALUES ($1, $2, ${now} + CAST($3 AS bigint))
          ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
          RETURNING key`,
        [key, value, milliseconds(ttl)],
      ),
    get: (key) => text(`SELECT value AS result FROM ${state} WHERE key = $1 AND expires_at > ${now}`, [key]),
    take: (key) =>
      text(`DELETE FROM ${state} WHERE key = $1 AND expires_at > ${now} RETURNING value AS result`, [key]),
  };
}

function sqlConsents({
  query,
  any,
  json,
  table,
}: Statements): Functions<'getConsent' | 'saveConsent' | 'deleteConsent'> {
  const consents = table('consents');
  return {
    getConsent: (userId, clientId) =>
      json<Consent>(`SELECT record AS result FROM ${consents} WHERE user_id = $1 AND client_id = $2`, [
        userId,
        clientId,
      ]),
    saveConsent: (consent) =>
      query(
        `INSERT INTO ${consents} (user_id, client_id, record) VALUES ($1, $2, $3)
          ON CONFLICT (user_id, client_id) DO UPDATE SET record = excluded.record
          RETURNING client_id`,
        [consent.userId, consent.clientId, JSON.stringify(consent)],
      ),
    deleteConsent: (userId, clientId) =>
      any(`DELETE FROM ${consents} WHERE user_id = $1 AND client_id = $2 RETURNING client_id`, [
        userId,
        clientId,
      ]),
  };
}

/** The tables with rows that expire, their keys, and how long rows are kept after that. */
const SWEPT = [
  ['clients', 'client_id', 0],
  ['grants', 'id', GRACE],
  ['once', 'key', 0],
  ['state', 'key', 0],
] as const satisfies readonly (readonly [TableName, string, number])[];

async function sweepTable(
  { query, now, table, forDeletion }: SqlDialect,
  name: TableName,
  key: string,
  grace: number,
): Promise<number> {
  let total = 0;
  for (let deleted = SWEPT_AT_ONCE; deleted >= SWEPT_AT_ONCE; total += deleted) {
    const rows = await query(
      `DELETE FROM ${table(name)} WHERE ${key} IN (
          SELECT ${key} FROM ${table(name)} WHERE expires_at <= ${now} - ${grace}
            ORDER BY expires_at LIMIT ${SWEPT_AT_ONCE}${forDeletion}
        ) AND expires_at <= ${now} - ${grace} RETURNING 1 AS result`,
      [],
    );
    deleted = rows.length;
    // A driver that does not wait would hold up everybody else until the last part.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return total;
}

/** Returns the lifetime of a client in milliseconds; `null` stands for none. */
function lifetime(seconds: number | undefined): number | null {
  return seconds === undefined ? null : milliseconds(seconds);
}
