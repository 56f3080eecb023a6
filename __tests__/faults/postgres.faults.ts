import { Client, Pool } from 'pg';

import { migrate } from 'express-oauth-router/postgres';

import type { FaultStore } from '../support/fault-host';
import { wait } from '../support/fault-load';
import { withstand, type Fault } from '../support/fault-run';
import { startPostgres, type PostgresServer } from '../support/postgres-server';

describe('a PostgreSQL that fails under load', () => {
  let server: PostgresServer;
  let store: FaultStore;

  beforeAll(async () => {
    server = await startPostgres(['max_connections=30', 'superuser_reserved_connections=3']);
    const url = server.url.replace('postgres@', 'app@');
    await withAdmin(async (admin) => {
      await admin.query('CREATE ROLE app LOGIN');
      await admin.query('GRANT ALL ON SCHEMA public TO app');
    });
    const pool = new Pool({ connectionString: url });
    await migrate(pool);
    await pool.end();
    store = { kind: 'postgres', url };
  });

  afterAll(() => server.stop());

  async function withAdmin(run: (admin: Client) => Promise<unknown>): Promise<void> {
    const admin = new Client({ connectionString: server.url });
    admin.on('error', () => undefined);
    await admin.connect();
    await run(admin);
    await admin.end().catch(() => undefined);
  }

  const FAULTS: Record<string, { fault: Fault; isQuiet?: boolean; isolation?: string }> = {
    'crashed and started again': {
      fault: async () => {
        await server.crash();
        await wait(700);
        await server.start();
      },
    },
    'stalled by a lock': {
      fault: () =>
        withAdmin(async (admin) => {
          await admin.query('BEGIN; LOCK TABLE oauth_grants IN ACCESS EXCLUSIVE MODE');
          await wait(1500);
          await admin.query('COMMIT');
        }),
    },
    'out of connections': {
      fault: () =>
        withAdmin(async (admin) => {
          await admin.query('ALTER ROLE app CONNECTION LIMIT 0');
          await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
          await wait(1200);
          await admin.query('ALTER ROLE app CONNECTION LIMIT -1');
        }),
    },
    'read-only, as after a failover': {
      fault: () =>
        withAdmin(async (admin) => {
          await admin.query('ALTER ROLE app SET default_transaction_read_only = on');
          await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
          await wait(1200);
          await admin.query('ALTER ROLE app SET default_transaction_read_only = off');
          await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
        }),
    },
    'that serializes transactions': { fault: () => wait(2000), isQuiet: true, isolation: 'serializable' },
  };

  it.each(Object.entries(FAULTS))(
    '%s: nobody loses a login, nothing is given twice',
    async (name, { fault, isQuiet, isolation }) => {
      const outcome = await withstand(`postgres ${name}`, { ...store, isolation }, fault);
      expect(outcome.problems).toEqual([]);
      expect(outcome.requests).toBeGreaterThan(100);
      // Otherwise nothing has failed.
      if (!isQuiet) expect(outcome.unanswered).toBeGreaterThan(0);
    },
  );
});
