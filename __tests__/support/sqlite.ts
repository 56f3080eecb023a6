import { createRequire } from 'node:module';
import path from 'node:path';

import Database from 'better-sqlite3';

import type { SqliteDatabase } from 'express-oauth-router/sqlite';

/** A database that can be closed. */
export type OpenDatabase = SqliteDatabase & { close(): unknown };

/** `node:sqlite` where Node has it, otherwise better-sqlite3, whose binary is that of one version of Node. */
export const SQLITE_DRIVER =
  Number(process.versions.node.split('.')[0]) < 22 ? 'better-sqlite3' : 'node:sqlite';

export function openSqlite(file: string): OpenDatabase {
  if (SQLITE_DRIVER === 'better-sqlite3') return new Database(file);
  const { DatabaseSync } = createRequire(__filename)('node:sqlite') as {
    DatabaseSync: new (file: string) => OpenDatabase;
  };
  return new DatabaseSync(file);
}

export function sqliteFile(directory: string): string {
  return path.join(directory, 'oauth.db');
}
