import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';

import { testDoubleSpending } from '../support/double-spending';
import { sqliteFile } from '../support/sqlite';

const directories: string[] = [];

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true });
});

testDoubleSpending('redis', () => `double:${randomBytes(6).toString('hex')}:`);

testDoubleSpending('sqlite', () => {
  const directory = mkdtempSync(`${tmpdir()}/oauth-double-`);
  directories.push(directory);
  return sqliteFile(directory);
});
