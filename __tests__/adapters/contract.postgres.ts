import { randomBytes } from 'node:crypto';
import type { ChildProcess } from 'node:child_process';

import { drizzle } from 'drizzle-orm/node-postgres';
import { sql } from 'drizzle-orm';
import knex from 'knex';
import { Client, Pool } from 'pg';
import postgres from 'postgres';

import type { Adapter, StoredGrant } from 'express-oauth-router';
import { adapterContract } from 'express-oauth-router/adapter-contract';
import { migrate, pgAdapter, pgMigrations, type PostgresClient } from 'express-oauth-router/postgres';

import { applicable } from '../support/applicable';
import { forkAdapter } from '../support/forked-adapter';
import { getCode, makeHost, redeem, refresh, type Tokens } from '../support/host';

const url = (): string => process.env.POSTGRES_URL!;

/** Lets the rows of all tables grow old. */
async function age(client: PostgresClient, prefix: string, seconds: number): Promise<void> {
  for (const table of ['clients', 'grants', 'once', 'state'])
    await client.query(`UPDATE ${prefix}${table} SET expires_at = expires_at - ${seconds * 1000}`);
}

type Connect = () => { client: PostgresClient; end(): unknown };

const DRIVERS: readonly (readonly [string, Connect])[] = [
  [
    'a pool of pg',
    () => {
      const pool = new Pool({
        connectionString: url(),
        connectionTimeoutMillis: 4000,
        statement_timeout: 4000,
      });
      return { client: pool, end: () => pool.end() };
    },
  ],
  [
    'the package postgres',
    () => {
      const connection = postgres(url(), { onnotice: () => undefined });
      const client: PostgresClient = {
        query: async (text, values = []) => ({ rows: await connection.unsafe(text, values as string[]) }),
      };
      return { client, end: () => connection.end() };
    },
  ],
];

describe.each(DRIVERS)('pgAdapter on %s', (_name, connect) => {
  const prefix = `contract_${randomBytes(6).toString('hex')}_`;
  const { client, end } = connect();
  let other: Adapter;
  let child: ChildProcess;

  beforeAll(async () => {
    // Processes that start at once.
    await Promise.all(Array.from({ length: 5 }, () => migrate(client, { prefix })));
    ({ adapter: other, child } = forkAdapter('postgres-adapter-process.ts', prefix));
  });
  afterAll(async () => {
    child.kill();
    await end();
  });

  adapterContract(() => {
    const adapter = pgAdapter(client, { prefix });
    return {
      adapter,
      other: () => other,
      sweep: async (seconds) => {
        await age(client, prefix, seconds);
        await adapter.sweep();
      },
      unreachable: () =>
        pgAdapter(new Pool({ host: '127.0.0.1', port: 1, connectionTimeoutMillis: 100 }), { prefix }),
    };
  }, applicable);
});

describe('what pgAdapter needs of a client', () => {
  const pool = new Pool({ connectionString: url(), connectionTimeoutMillis: 4000, statement_timeout: 4000 });
  const prefix = `needs_${randomBytes(6).toString('hex')}_`;
  const grant = (id: string): StoredGrant => ({
    id,
    generation: 0,
    userId: 'bob',
    clientId: 'client',
    expiresAt: Date.now() + 1e6,
  });

  beforeAll(() => migrate(pool, { prefix }));
  afterAll(() => pool.end());

  const database = drizzle(pool);
  const builder = knex({ client: 'pg', connection: url() });
  afterAll(() => builder.destroy());

  it.each<[string, PostgresClient]>([
    [
      'Drizzle',
      {
        query: async (text, values = []) => {
          const parts = text.split(/\$(\d+)/);
          const chunks = parts.map((part, position) =>
            position % 2 === 0 ? sql.raw(part) : sql`${values[Number(part) - 1]}`,
          );
          return database.execute(sql.join(chunks));
        },
      },
    ],
    [
      'Knex',
      {
        query: (text, values = []) => {
          const named = Object.fromEntries(values.map((value, position) => [`p${position + 1}`, value]));
          return Promise.resolve(
            builder.raw<{ rows: unknown[] }>(text.replaceAll(/\$(\d+)/g, ':p$1'), named as never),
          );
        },
      },
    ],
  ])('%s', async (name, client) => {
    const adapter = pgAdapter(client, { prefix });
    const own = grant(name.padEnd(22, '-'));
    await adapter.ping();
    await adapter.saveGrant(own);
    await expect(adapter.saveGrant(own)).rejects.toThrow();
    expect(await adapter.advanceGrant(own.id, 0, { ...own, generation: 1 })).toBe(true);
    expect(await adapter.advanceGrant(own.id, 0, { ...own, generation: 1 })).toBe(false);
    expect(await adapter.getGrant(own.id)).toEqual({ ...own, generation: 1 });
    expect(await adapter.setOnce(name, 60)).toBe(true);
    expect(await adapter.setOnce(name, 60)).toBe(false);
    await adapter.put(name, 'a: ?b $1', 60);
    expect(await adapter.take(name)).toBe('a: ?b $1');
    await adapter.saveClient({ clientId: name, scope: 'what?' }, 60);
    expect(await adapter.extendClient(name)).toBe(true);
    expect(await adapter.getClient(name)).toEqual({ clientId: name, scope: 'what?' });
    expect(await adapter.revokeGrant(own.id)).toBe(true);
    expect(await adapter.sweep()).toBe(0);
  });

  it("a transaction's client: a test can take everything back", async () => {
    const client = new Client({ connectionString: url() });
    await client.connect();
    const adapter = pgAdapter(client, { prefix });
    await client.query('BEGIN');
    await adapter.saveGrant(grant('rolled back'));
    expect(await adapter.listGrants('bob')).toHaveLength(1);
    await client.query('ROLLBACK');
    expect(await adapter.getGrant('rolled back')).toBeUndefined();
    await client.end();
  });

  it('a schema of its own', async () => {
    const schema = `s_${randomBytes(6).toString('hex')}`;
    await pool.query(`CREATE SCHEMA ${schema}`);
    await migrate(pool, { schema });
    const adapter = pgAdapter(pool, { schema, prefix: 'oauth_' });
    await adapter.saveGrant(grant('in a schema'));
    const { rows } = await pool.query(`SELECT id FROM ${schema}.oauth_grants`);
    expect(rows).toEqual([{ id: 'in a schema' }]);
    await pool.query(`DROP SCHEMA ${schema} CASCADE`);
  });

  it('a migration can be repeated, and keeps what is stored', async () => {
    const adapter = pgAdapter(pool, { prefix });
    await adapter.saveGrant(grant('kept'));
    for (const { sql: statements } of pgMigrations({ prefix })) await pool.query(statements);
    expect(await adapter.getGrant('kept')).toBeDefined();
  });

  it('the clean-up deletes more than one part, and leaves a row that is being changed', async () => {
    const adapter = pgAdapter(pool, { prefix });
    await pool.query(
      `INSERT INTO ${prefix}state SELECT 'old' || n, 1, '' FROM generate_series(1, 2500) AS n`,
    );
    const client = await pool.connect();
    await client.query('BEGIN');
    await client.query(`UPDATE ${prefix}state SET expires_at = 9e15 WHERE key = 'old7'`);
    expect(await adapter.sweep()).toBe(2499);
    await client.query('COMMIT');
    client.release();
    expect(await adapter.get('old7')).toBe('');
  });

  it('no name, value or time zone of the connection decides anything', async () => {
    const odd = new Pool({
      connectionString: url(),
      options: '-c timezone=Pacific/Chatham -c datestyle=SQL,DMY -c extra_float_digits=-15',
    });
    const adapter = pgAdapter(odd, { prefix });
    expect(await adapter.setOnce('zone', 60)).toBe(true);
    expect(await adapter.setOnce('zone', 60)).toBe(false);
    const { rows } = await pool.query<{ left: string }>(
      `SELECT expires_at - floor(extract(epoch FROM now()) * 1000) AS left FROM ${prefix}once WHERE key = 'zone'`,
    );
    expect(Math.abs(Number(rows[0]!.left) - 60_000)).toBeLessThan(5000);
    await odd.end();
  });
});

describe('pgAdapter() on a driver that answers oddly', () => {
  it.each<[string, () => unknown]>([
    ['no rows', () => Promise.resolve({ rows: [] })],
    ['no result', () => Promise.resolve(undefined)],
    ['nothing', () => undefined],
    [
      'an exception',
      () => {
        throw new Error('down');
      },
    ],
    [
      'an error that is its own cause',
      () => {
        const error = new Error('down');
        error.cause = error;
        return Promise.reject(error);
      },
    ],
  ])('%s: the process lives', async (_name, query) => {
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    const adapter = pgAdapter({ query: query as never });
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    if (_name.startsWith('an ')) await expect(adapter.getGrant('x')).rejects.toThrow('down');
  });
});

describe('pgAdapter() and a replica', () => {
  it('the health check fails, because a replica may show spent codes as unspent', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation();
    const answer = { result: true, timeout: '3s', migrated: true, replica: true };
    const adapter = pgAdapter({ query: () => Promise.resolve({ rows: [answer] }) });
    await expect(adapter.ping()).rejects.toThrow(/replica/);
    expect(warn.mock.calls.map(([warning]) => warning)).toEqual([expect.stringContaining('replica')]);
    warn.mockRestore();
  });
});

describe('waves of statements', () => {
  it('a code exchange takes two, and a refresh takes two', async () => {
    const pool = new Pool({
      connectionString: url(),
      connectionTimeoutMillis: 4000,
      statement_timeout: 4000,
    });
    const prefix = `waves_${randomBytes(6).toString('hex')}_`;
    await migrate(pool, { prefix });
    let [waves, running] = [0, 0];
    const adapter = pgAdapter(
      {
        query: async (text, values) => {
          if (running++ === 0) waves++;
          try {
            return await pool.query(text, values);
          } finally {
            running--;
          }
        },
      },
      { prefix },
    );
    await adapter.ping();
    const host = makeHost({ store: 'postgres', mount: 'root' }, { adapter });
    const issued = await getCode(host);
    const wavesOf = async (run: () => PromiseLike<{ status: number; body: unknown }>): Promise<Tokens> => {
      waves = 0;
      const { status, body } = await run();
      expect([status, waves]).toEqual([200, 2]);
      return body as Tokens;
    };
    const { refresh_token: token } = await wavesOf(() => redeem(host, 'web', issued));
    await wavesOf(() => refresh(host, 'web', token));
    await pool.end();
  });
});

describe('pgAdapter() says what is wrong', () => {
  const pool = new Pool({ connectionString: url() });
  afterAll(() => pool.end());

  it.each<[unknown, RegExp]>([
    ['postgres://localhost', /not a URL/],
    [postgres, /package postgres/],
    [{}, /query\(\)/],
    [undefined, /query\(\)/],
  ])('no client: %p', (client, message) => {
    expect(() => pgAdapter(client as never)).toThrow(message);
  });

  it.each([{ prefix: 'a"b' }, { prefix: 'A' }, { schema: 'a.b' }, { prefix: '' }, { shema: 'a' }])(
    'no name: %p',
    (options) => {
      expect(() => pgAdapter(pool, options as never)).toThrow(TypeError);
      expect(() => pgMigrations(options as never)).toThrow(TypeError);
    },
  );

  it('tables that are missing, and waiting without a limit, are a warning at the start', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation();
    const adapter = pgAdapter(pool, { prefix: 'nowhere_' });
    await expect(adapter.ping()).rejects.toThrow(/nowhere_clients/);
    for (let tries = 0; warn.mock.calls.length < 3 && tries < 100; tries++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    // The settings are those of the pool: one warning is enough for all adapters on it.
    pgAdapter(pool, { prefix: 'nowhere_' });
    for (let tries = 0; warn.mock.calls.length < 4 && tries < 100; tries++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const warned = warn.mock.calls.map(([warning]) => warning).sort();
    warn.mockRestore();
    expect(warned).toEqual([
      expect.stringContaining('connectionTimeoutMillis'),
      expect.stringContaining('statement_timeout'),
      expect.stringContaining('npx express-oauth-router migrate'),
      expect.stringContaining('npx express-oauth-router migrate'),
    ]);
  });
});
