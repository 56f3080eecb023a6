import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';

import { Pool } from 'pg';

import { pgAdapter } from 'express-oauth-router/postgres';

const cli = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, ['--import', 'tsx', path.join(__dirname, '../lib/cli.ts'), ...args], {
    encoding: 'utf8',
  });

it('npx express-oauth-router migrate creates the tables, and client fills them', async () => {
  const place = [
    '--postgres',
    process.env.POSTGRES_URL!,
    '--prefix',
    `cli_${randomBytes(6).toString('hex')}_`,
  ];
  const pool = new Pool({ connectionString: process.env.POSTGRES_URL!, connectionTimeoutMillis: 4000 });
  for (const _ of [1, 2])
    expect(cli('migrate', ...place)).toEqual(expect.objectContaining({ status: 0, stderr: '' }));
  const adapter = pgAdapter(pool, { prefix: place[3]! });
  await adapter.ping();
  const { stdout } = cli('client', 'create', '--id', 'web', '--redirect-uri', 'https://a.example', ...place);
  expect(JSON.parse(stdout)).toMatchObject({ client_id: 'web' });
  expect(await adapter.getClient('web')).toMatchObject({ redirectUris: ['https://a.example'] });
  await pool.end();
});
