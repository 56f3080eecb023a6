/** What differs between the databases in the definition of a table. */
export interface SchemaDialect {
  /** The type of a text that is compared byte by byte. */
  readonly text: string;
  /** The type of an integer of 64 bits. */
  readonly integer: string;
  /** What follows the columns of a table. */
  readonly suffix: string;
  /** The name of a table or of an index, quoted; a table may be preceded by its schema. */
  name(name: string, kind: 'table' | 'index'): string;
}

/** The tables. Moments are epoch milliseconds, and records are JSON. */
export const TABLES = ['clients', 'grants', 'once', 'state', 'consents'] as const;

/** The name of a table, without the prefix. */
export type TableName = (typeof TABLES)[number];

/**
 * Returns the statements that create the tables. A row whose `expires_at` has passed is garbage; a client without it is kept until it is
 * deleted.
 */
export function tablesOf({ text, integer, suffix, name }: SchemaDialect): string[] {
  const table = (own: TableName, columns: readonly string[]): string =>
    `CREATE TABLE IF NOT EXISTS ${name(own, 'table')} (\n  ${columns.join(',\n  ')}\n)${suffix}`;
  const index = (own: TableName, column: string): string =>
    `CREATE INDEX IF NOT EXISTS ${name(`${own}_${column}`, 'index')} ON ${name(own, 'table')} (${column}) WHERE ${column} IS NOT NULL`;
  return [
    table('clients', [
      `client_id ${text} PRIMARY KEY NOT NULL`,
      `expires_at ${integer}`,
      `record ${text} NOT NULL`,
    ]),
    index('clients', 'expires_at'),
    table('grants', [
      `id ${text} PRIMARY KEY NOT NULL`,
      `generation ${integer} NOT NULL`,
      `user_id ${text}`,
      `client_id ${text} NOT NULL`,
      `advanced_at ${integer} NOT NULL`,
      `expires_at ${integer} NOT NULL`,
      `record ${text} NOT NULL`,
    ]),
    index('grants', 'user_id'),
    index('grants', 'expires_at'),
    table('once', [`key ${text} PRIMARY KEY NOT NULL`, `expires_at ${integer} NOT NULL`]),
    index('once', 'expires_at'),
    table('state', [
      `key ${text} PRIMARY KEY NOT NULL`,
      `expires_at ${integer} NOT NULL`,
      `value ${text} NOT NULL`,
    ]),
    index('state', 'expires_at'),
    table('consents', [
      `user_id ${text} NOT NULL`,
      `client_id ${text} NOT NULL`,
      `record ${text} NOT NULL`,
      'PRIMARY KEY (user_id, client_id)',
    ]),
  ];
}
