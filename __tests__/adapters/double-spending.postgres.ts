import { randomBytes } from 'node:crypto';

import { Pool } from 'pg';

import { migrate } from 'express-oauth-router/postgres';

import { testDoubleSpending } from '../support/double-spending';

testDoubleSpending('postgres', async () => {
  const prefix = `double_${randomBytes(6).toString('hex')}_`;
  const pool = new Pool({ connectionString: process.env.POSTGRES_URL! });
  await migrate(pool, { prefix });
  await pool.end();
  return prefix;
});
