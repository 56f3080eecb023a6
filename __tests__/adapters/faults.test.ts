import Redis from 'ioredis';

import { redisAdapter } from 'express-oauth-router';

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
import { redisProxy, type RedisProxy } from '../support/redis-proxy';
import { startRedis, type RedisServer } from '../support/redis-server';

const variant = { store: 'redis', mount: 'root' } as const;

/** A server of its own, with every write on disk before it is answered, and a proxy in front of it. */
describe('when the network or Redis fails', () => {
  let server: RedisServer;
  let proxy: RedisProxy;
  let redis: Redis;
  let host: Host;

  beforeAll(async () => {
    server = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always']);
    proxy = await redisProxy(server.url);
    redis = new Redis(proxy.url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
    redis.on('error', () => undefined);
    host = makeHost(variant, { adapter: redisAdapter(redis), storeTimeout: 0.8 });
    const tokens = await getTokens(host);
    await refresh(host, 'web', tokens.refresh_token);
  });

  beforeEach(() => {
    host.events.length = 0;
    host.now = Date.now();
  });

  afterAll(async () => {
    redis.disconnect();
    await proxy.close();
    await server.stop();
  });

  async function until(works: () => Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      if (await works().catch(() => false)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('it did not come back');
  }
  const isBack = async (): Promise<boolean> => Boolean(await redis.ping());

  describe.each([
    ['the connection drops after the script ran, and the driver sends it again', { drop: true }],
    ['the answer comes after the time-out', { late: 1000 }],
  ] as const)('%s', (_name, fault) => {
    it('a code exchange: the one caller succeeds, and can refresh', async () => {
      const issued = await getCode(host);
      proxy.nextWrite = { ...fault };
      const response = await redeem(host, 'web', issued);
      expect(response.status).toBe(200);
      expect(proxy.nextWrite).toBeUndefined();
      expect((await redeem(host, 'web', issued)).status).toBe(400);
      expect((await refresh(host, 'web', (response.body as Tokens).refresh_token)).status).toBe(200);
    });

    it('a refresh: the one caller succeeds, and can refresh again', async () => {
      const { refresh_token: token } = await getTokens(host);
      proxy.nextWrite = { ...fault };
      const response = await refresh(host, 'web', token);
      expect(response.status).toBe(200);
      const next = await refresh(host, 'web', (response.body as Tokens).refresh_token);
      expect(next.status).toBe(200);
      expect(host.eventNames()).not.toContain('refresh_token.reused');
    });

    it('an authorization: the code is good', async () => {
      proxy.nextWrite = { ...fault };
      // The index is written by the first script: the second, which inserts, is the one that fails.
      const first = await getCode(host).catch(() => undefined);
      proxy.nextWrite = undefined;
      const issued = first ?? (await getCode(host));
      expect((await redeem(host, 'web', issued)).status).toBe(200);
    });
  });

  it('a call that the driver sends again gets the answer that was lost, and no other call does', async () => {
    const adapter = redisAdapter(redis);
    // A script that the driver has sent on this connection is named by its hash, as the proxy expects.
    await adapter.setOnce('first', 60);
    proxy.nextWrite = { drop: true };
    expect(await adapter.setOnce('proof', 60)).toBe(true);
    expect(proxy.nextWrite).toBeUndefined();
    expect(await adapter.setOnce('proof', 60)).toBe(false);
    await adapter.put('transaction', 'a value\n= of two lines', 60);
    await adapter.take('first');
    proxy.nextWrite = { drop: true };
    const taken = await Promise.all([1, 2, 3].map(async () => adapter.take('transaction')));
    expect(taken.filter((value) => value === 'a value\n= of two lines')).toHaveLength(1);
    expect(taken.filter((value) => value === null)).toHaveLength(2);
    expect(proxy.nextWrite).toBeUndefined();
    expect([await adapter.get('transaction'), await adapter.take('transaction')]).toEqual([null, null]);
    await adapter.put('transaction', 'next', 60);
    expect(await adapter.take('transaction')).toBe('next');
  });

  it('full: what is taken is gone', async () => {
    const adapter = redisAdapter(redis);
    await adapter.put('kept', 'value', 60);
    await redis.config('SET', 'maxmemory', '1');
    await expect(Promise.resolve(adapter.put('other', 'value', 60))).rejects.toThrow(/OOM/);
    expect([await adapter.take('kept'), await adapter.take('kept'), await adapter.get('kept')]).toEqual([
      'value',
      null,
      null,
    ]);
    await redis.config('SET', 'maxmemory', '0');
  });

  it('paused: 503, and when it goes on the same refresh succeeds', async () => {
    const { refresh_token: token } = await getTokens(host);
    server.pause();
    const failed = await refresh(host, 'web', token);
    server.resume();
    expect([failed.status, failed.body.error]).toEqual([503, 'temporarily_unavailable']);
    expect(failed.headers['retry-after']).toBe('1');
    expect(host.eventNames()).toContain('store.failed');
    await until(isBack);
    const response = await refresh(host, 'web', token);
    expect(response.status).toBe(200);
    expect((await refresh(host, 'web', (response.body as Tokens).refresh_token)).status).toBe(200);
  });

  it('paused between the read and the commit: whatever lands late, the same refresh succeeds', async () => {
    const { refresh_token: token } = await getTokens(host);
    const pausing = makeHost(variant, {
      adapter: redisAdapter(redis),
      storeTimeout: 0.8,
      claims: () => {
        server.pause();
        return {};
      },
    });
    const failed = await refresh(pausing, 'web', token);
    server.resume();
    expect(failed.status).toBe(503);
    await until(isBack);
    const response = await refresh(host, 'web', token);
    expect(response.status).toBe(200);
    expect((await refresh(host, 'web', (response.body as Tokens).refresh_token)).status).toBe(200);
  });

  it('paused between the read and the commit of a code: never two token sets', async () => {
    const issued = await getCode(host);
    const pausing = makeHost(variant, {
      adapter: redisAdapter(redis),
      storeTimeout: 0.8,
      claims: () => {
        server.pause();
        return {};
      },
    });
    expect((await redeem(pausing, 'web', issued)).status).toBe(503);
    server.resume();
    await until(isBack);
    const statuses = [];
    for (const _ of [1, 2, 3]) statuses.push((await redeem(host, 'web', issued)).status);
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(1);
  });

  it('killed and started again: who was answered keeps what it was given', async () => {
    const kept = await getTokens(host);
    let current = await getTokens(host);
    let answered = 0;
    const outage = (async (): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await server.kill();
      // Longer than a commit and the read that verifies it wait.
      await new Promise((resolve) => setTimeout(resolve, 3000));
      await server.start();
    })();
    // One client that refreshes all the time, and repeats what failed.
    let failures = 0;
    const end = Date.now() + 10_000;
    while (Date.now() < end) {
      const response = await refresh(host, 'web', current.refresh_token);
      if (response.status === 200) {
        current = response.body as Tokens;
        answered++;
        if (failures > 0 && answered > 20) break;
      } else {
        expect(response.status).toBe(503);
        failures++;
      }
    }
    await outage;
    await until(isBack);
    expect(failures).toBeGreaterThan(0);
    expect((await refresh(host, 'web', current.refresh_token)).status).toBe(200);
    expect(await isActive(host, kept.access_token)).toBe(true);
    expect((await refresh(host, 'web', kept.refresh_token)).status).toBe(200);
    expect(host.eventNames()).not.toContain('refresh_token.reused');
  });
});
