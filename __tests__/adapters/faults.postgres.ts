import { Client, Pool, type PoolConfig } from 'pg';

import { migrate, pgAdapter } from 'express-oauth-router/postgres';

import {
  getCode,
  getTokens,
  isActive,
  makeHost,
  redeem,
  refresh,
  type Host,
  type Tokens,
} from '../support/host';
import { startPostgres, type PostgresServer } from '../support/postgres-server';

const variant = { store: 'postgres', mount: 'root' } as const;

/** A server of its own, with few connections. */
describe('when PostgreSQL fails', () => {
  let server: PostgresServer;
  const pools: Pool[] = [];

  beforeAll(async () => {
    server = await startPostgres(['max_connections=20', 'superuser_reserved_connections=3']);
    await withAdmin(async (admin) => {
      await admin.query('CREATE ROLE app LOGIN');
      await admin.query('GRANT ALL ON SCHEMA public TO app');
    });
    const pool = new Pool({ connectionString: server.url.replace('postgres@', 'app@') });
    await migrate(pool);
    await pool.end();
  });

  afterEach(async () => {
    for (const pool of pools.splice(0)) await pool.end();
  });

  afterAll(() => server.stop());

  function poolOf(settings: PoolConfig = {}): Pool {
    const pool = new Pool({
      connectionString: server.url.replace('postgres@', 'app@'),
      connectionTimeoutMillis: 300,
      statement_timeout: 300,
      max: 8,
      ...settings,
    });
    pools.push(pool);
    return pool;
  }

  function hostOn(pool: Pool, storeTimeout = 0.5): Host {
    return makeHost(variant, { adapter: pgAdapter(pool), storeTimeout });
  }

  async function withAdmin<T>(run: (admin: Client) => Promise<T>): Promise<T> {
    const admin = new Client({ connectionString: server.url });
    admin.on('error', () => undefined);
    await admin.connect();
    try {
      return await run(admin);
    } finally {
      await admin.end().catch(() => undefined);
    }
  }

  const wait = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, milliseconds));

  /** Some clients that refresh all the time, and repeat what failed, while something happens. Nobody may lose the login. */
  async function stream(host: Host, during: () => Promise<unknown>): Promise<{ failures: number }> {
    const logins = await Promise.all(Array.from({ length: 6 }, () => getTokens(host)));
    const bystander = await getTokens(host);
    const state = { over: false, failures: 0 };
    const clients = logins.map(async (login) => {
      let token = login.refresh_token;
      let answered = 0;
      while (!state.over || answered < 3) {
        const response = await refresh(host, 'web', token);
        if (response.status === 200) {
          token = (response.body as Tokens).refresh_token;
          answered = state.over ? answered + 1 : 0;
        } else {
          expect([response.status, response.body.error]).toEqual([503, 'temporarily_unavailable']);
          expect(response.headers['retry-after']).toBe('1');
          state.failures++;
          await wait(20);
        }
      }
    });
    await wait(100);
    await during();
    state.over = true;
    await Promise.all(clients);
    expect(host.eventNames()).not.toContain('refresh_token.reused');
    expect(await isActive(host, bystander.access_token)).toBe(true);
    expect((await refresh(host, 'web', bystander.refresh_token)).status).toBe(200);
    return { failures: state.failures };
  }

  it('restarted under a stream of refreshes', async () => {
    const host = hostOn(poolOf());
    const { failures } = await stream(host, async () => {
      await server.crash();
      await wait(500);
      await server.start();
    });
    expect(failures).toBeGreaterThan(0);
  });

  it('restarted while connections are idle: the process lives', async () => {
    const pool = poolOf();
    const host = hostOn(pool);
    const tokens = await getTokens(host);
    expect(pool.listenerCount('error')).toBe(1);
    // A second adapter on the same pool adds nothing.
    pgAdapter(pool);
    expect(pool.listenerCount('error')).toBe(1);
    await server.crash();
    await server.start();
    await wait(50);
    expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(200);
  });

  it.each([
    ['cancelled by the server', { statement_timeout: 300 }],
    ['that run when it goes on', { statement_timeout: 0 }],
  ])('stalled by a lock, with statements %s', async (_name, settings) => {
    const host = hostOn(poolOf(settings));
    const { failures } = await stream(host, () =>
      withAdmin(async (admin) => {
        await admin.query('BEGIN; LOCK TABLE oauth_grants IN ACCESS EXCLUSIVE MODE');
        await wait(1500);
        await admin.query('COMMIT');
      }),
    );
    expect(failures).toBeGreaterThan(0);
  });

  it('stalled at the redemption of a code: never two token sets', async () => {
    const pool = poolOf({ statement_timeout: 0 });
    const host = hostOn(pool);
    const issued = await getCode(host);
    await withAdmin(async (admin) => {
      await admin.query('BEGIN; LOCK TABLE oauth_grants IN EXCLUSIVE MODE');
      expect((await redeem(host, 'web', issued)).status).toBe(503);
      await admin.query('COMMIT');
    });
    await wait(50);
    const statuses = [];
    for (const _ of [1, 2, 3]) statuses.push((await redeem(host, 'web', issued)).status);
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(1);
  });

  it('out of connections', async () => {
    const host = hostOn(poolOf({ idleTimeoutMillis: 50 }));
    const hogs: Client[] = [];
    const { failures } = await stream(host, async () => {
      const end = Date.now() + 1500;
      while (Date.now() < end) {
        const hog = new Client({ connectionString: server.url.replace('postgres@', 'app@') });
        hog.on('error', () => undefined);
        await hog.connect().then(
          () => hogs.push(hog),
          () => wait(20),
        );
        // Those that are in use end too, so that the pool needs new ones.
        await withAdmin((admin) =>
          admin.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%oauth_grants%' AND pid <> pg_backend_pid()",
          ),
        );
      }
      await Promise.all(hogs.map((hog) => hog.end()));
    });
    expect(failures).toBeGreaterThan(0);
  });

  it('that serializes: fifty parallel refreshes and redemptions, and a stream', async () => {
    await withAdmin((admin) =>
      admin.query("ALTER ROLE app SET default_transaction_isolation = 'serializable'"),
    );
    const host = hostOn(poolOf({ connectionTimeoutMillis: 5000, statement_timeout: 5000 }), 5);
    const fifty = async (run: () => PromiseLike<{ status: number; body: unknown }>) =>
      Promise.all(Array.from({ length: 50 }, async () => run()));
    for (const _ of [1, 2, 3]) {
      const issued = await getCode(host);
      const redeemed = await fifty(() => redeem(host, 'web', issued));
      const winners = redeemed.filter(({ status }) => status === 200);
      expect(winners).toHaveLength(1);
      expect(redeemed.filter(({ status }) => status === 400)).toHaveLength(49);
      const { refresh_token: token } = winners[0]!.body as Tokens;
      const refreshed = await fifty(() => refresh(host, 'web', token));
      expect(refreshed.map(({ status }) => status)).toEqual(refreshed.map(() => 200));
      expect(new Set(refreshed.map(({ body }) => (body as Tokens).refresh_token)).size).toBe(1);
    }
    await stream(host, () => wait(500));
    await withAdmin((admin) => admin.query('ALTER ROLE app RESET default_transaction_isolation'));
  });

  it('read-only, as after a failover: 503', async () => {
    const pool = poolOf();
    const host = hostOn(pool);
    const tokens = await getTokens(host);
    await withAdmin((admin) => admin.query('ALTER ROLE app SET default_transaction_read_only = on'));
    const readOnly = hostOn(poolOf());
    expect((await refresh(readOnly, 'web', tokens.refresh_token)).status).toBe(503);
    await withAdmin((admin) => admin.query('ALTER ROLE app RESET default_transaction_read_only'));
    expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(200);
  });

  it('a row that is locked for longer than the leeway: who was not answered keeps the login', async () => {
    const pool = poolOf({ statement_timeout: 0 });
    const host = makeHost(variant, {
      adapter: pgAdapter(pool),
      storeTimeout: 0.3,
      refreshTokens: { leeway: 1 },
    });
    const { refresh_token: token } = await getTokens(host);
    await withAdmin(async (admin) => {
      await admin.query('BEGIN');
      await admin.query('SELECT id FROM oauth_grants FOR UPDATE');
      expect((await refresh(host, 'web', token)).status).toBe(503);
      await wait(1500);
      await admin.query('COMMIT');
    });
    await wait(100);
    host.now = Date.now();
    const repeated = await refresh(host, 'web', token);
    expect(repeated.status).toBe(200);
    expect((await refresh(host, 'web', (repeated.body as Tokens).refresh_token)).status).toBe(200);
    expect(host.eventNames()).not.toContain('refresh_token.reused');
  });
});
