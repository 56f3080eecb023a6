/** Serves an adapter on PostgreSQL to the process that forked this one. */
import { Pool } from 'pg';

import { serveAdapter } from 'express-oauth-router/adapter-contract';
import { pgAdapter } from 'express-oauth-router/postgres';

const pool = new Pool({
  connectionString: process.env.POSTGRES_URL!,
  connectionTimeoutMillis: 4000,
  statement_timeout: 4000,
});
serveAdapter(pgAdapter(pool, { prefix: process.argv[2]! }));
