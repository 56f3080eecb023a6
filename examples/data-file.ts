/** Keeps what the server stores in one file of SQLite, with its secret and key beside it: `npm start -- --data oauth.db`. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { OAuthRouterOptions } from 'express-oauth-router';
import { sqliteAdapter, type SqlAdapter, type SqliteDatabase } from 'express-oauth-router/sqlite';

type DataOptions = Pick<OAuthRouterOptions, 'secrets' | 'signingKeys'> & { adapter: SqlAdapter };

/** Opens the file, or creates it. */
export function dataFile(file: string): DataOptions {
  const adapter = sqliteAdapter(openDatabase(file));
  setInterval(() => void adapter.sweep().catch(console.error), 600_000).unref();
  const keys = `${file}.keys.json`;
  // In production they come from the environment: see `npx express-oauth-router init`.
  try {
    writeFileSync(keys, JSON.stringify(newKeys()), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const { secret, signingKey } = JSON.parse(readFileSync(keys, 'utf8')) as ReturnType<typeof newKeys>;
  return { adapter, secrets: [secret], signingKeys: [signingKey] };
}

/** Uses `node:sqlite` from Node 22, and the package better-sqlite3 before. */
function openDatabase(file: string): SqliteDatabase {
  const require = createRequire(__filename);
  type Open = new (file: string) => SqliteDatabase;
  const major = Number(process.versions.node.split('.')[0]);
  const Database =
    major < 22
      ? (require('better-sqlite3') as Open)
      : (require('node:sqlite') as { DatabaseSync: Open }).DatabaseSync;
  return new Database(file);
}

function newKeys(): { secret: string; signingKey: string } {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { secret: randomBytes(32).toString('base64url'), signingKey: privateKey };
}
