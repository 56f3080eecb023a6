import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';

import type { Adapter } from 'express-oauth-router';
import { adapterContract } from 'express-oauth-router/adapter-contract';
import { sqliteAdapter } from 'express-oauth-router/sqlite';

import { applicable } from '../support/applicable';
import { forkAdapter } from '../support/forked-adapter';
import { openSqlite, SQLITE_DRIVER, sqliteFile } from '../support/sqlite';

const directory = mkdtempSync(`${tmpdir()}/oauth-sqlite-`);
const file = sqliteFile(directory);

afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe(`sqliteAdapter on ${SQLITE_DRIVER}`, () => {
  let other: Adapter;
  let child: ChildProcess;

  beforeAll(() => ({ adapter: other, child } = forkAdapter('sqlite-adapter-process.ts', file)));
  afterAll(() => void child.kill());

  adapterContract(() => {
    const database = openSqlite(file);
    let ahead = 0;
    const adapter = sqliteAdapter(database, { clock: () => Date.now() + ahead * 1000 });
    return {
      adapter,
      other: () => other,
      sweep: async (seconds) => {
        ahead += seconds;
        await adapter.sweep();
        ahead -= seconds;
      },
      unreachable: () => {
        const closed = openSqlite(file);
        const away = sqliteAdapter(closed);
        closed.close();
        return away;
      },
      close: () => database.close(),
    };
  }, applicable);
});
