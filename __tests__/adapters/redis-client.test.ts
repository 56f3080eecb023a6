import Redis from 'ioredis';
import { createClient } from 'redis';

import { redisAdapter, type RedisClient } from 'express-oauth-router';

import { startRedis } from '../support/redis-server';

/** Typed loosely: these are the mistakes of people without a compiler. */
const adapterOf = (client: unknown) => (): unknown => redisAdapter(client as never);

describe('redisAdapter', () => {
  it.each([
    ['a URL', 'redis://localhost', /not a URL: redisAdapter\(new Redis\(url\)\)/],
    ['a URL object', new URL('redis://localhost'), /not a URL/],
    ['nothing', undefined, /takes a client of the package ioredis or redis, not undefined/],
    ['null', null, /not null/],
    ['an empty object', {}, /has neither defineCommand/],
    ['a connection of another package', { sendCommand: () => undefined }, /has neither defineCommand/],
    ['a function', () => undefined, /takes a client of the package ioredis/],
  ])('says what is wrong with %s', (_name, client, message) => {
    expect(adapterOf(client)).toThrow(TypeError);
    expect(adapterOf(client)).toThrow(message);
  });

  it.each([
    ['ioredis', (): RedisClient => new Redis(process.env.REDIS_URL!)],
    ['redis', (): RedisClient => createClient({ url: process.env.REDIS_URL! })],
  ])('takes eleven adapters on one client of %s without a warning', async (_name, connect) => {
    const warn = jest.spyOn(process, 'emitWarning');
    const client = connect() as RedisClient & {
      connect(): Promise<unknown>;
      disconnect(): unknown;
      on(event: string, listener: () => void): unknown;
      listenerCount(event: string): number;
    };
    for (let count = 0; count < 11; count++) redisAdapter(client, { prefix: `tenant-${count}:` });
    expect(client.listenerCount('ready')).toBe(1);
    await new Promise<void>((resolve) => {
      client.on('ready', resolve);
      void Promise.resolve(client.connect()).catch(() => undefined);
    });
    client.disconnect();
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it.each([
    ['ioredis', (url: string): RedisClient => new Redis(url)],
    ['redis', (url: string): RedisClient => createClient({ url })],
  ])('warns about a server that may evict grants, once for each client of %s', async (_name, connect) => {
    const server = await startRedis(['--maxmemory-policy', 'allkeys-lru']);
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation();
    const client = connect(server.url) as RedisClient & {
      connect(): Promise<unknown>;
      disconnect(): unknown;
    };
    for (const prefix of ['a:', 'b:']) redisAdapter(client, { prefix });
    void Promise.resolve(client.connect()).catch(() => undefined);
    for (let tries = 0; warn.mock.calls.length === 0 && tries < 100; tries++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(warn.mock.calls.map(([warning]) => warning)).toEqual([expect.stringContaining('noeviction')]);
    warn.mockRestore();
    client.disconnect();
    await server.stop();
  });

  it('warns about a failover detector, which may end the client', () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation();
    const sentinels = [{ host: '127.0.0.1', port: 1 }];
    for (const failoverDetector of [true, false]) {
      const client = new Redis({ sentinels, name: 'main', failoverDetector, lazyConnect: true });
      redisAdapter(client);
      redisAdapter(client, { prefix: 'other:' });
      client.disconnect();
    }
    expect(warn.mock.calls.map(([warning]) => warning)).toEqual([
      expect.stringContaining('failoverDetector'),
    ]);
    warn.mockRestore();
  });

  describe('with a client of ioredis', () => {
    let client: Redis;
    beforeEach(async () => {
      client = new Redis(process.env.REDIS_URL!);
      await client.ping();
    });
    afterEach(() => client.disconnect());

    it('sends the commands of one turn of the event loop in one write, those of another adapter too', async () => {
      const adapter = redisAdapter(client, { prefix: 'one-write:' });
      const other = redisAdapter(client, { prefix: 'other:' });
      const keys = ['a', 'b', 'c'];
      const sent = keys.map((key) => Promise.resolve(adapter.put(key, key.toUpperCase(), 60_000)));
      const held = client.stream.writableLength;
      expect(held).toBeGreaterThan(3 * 'one-write:state:a'.length);
      sent.push(Promise.resolve(other.put('d', 'D', 60_000)));
      expect(client.stream.writableLength).toBeGreaterThan(held);
      await new Promise(setImmediate);
      expect([client.stream.writableCorked, client.stream.writableLength]).toEqual([0, 0]);
      await Promise.all(sent);
      const read = keys.map((key) => Promise.resolve(adapter.get(key)));
      expect(client.stream.writableLength).toBeGreaterThan(0);
      expect(await Promise.all(read)).toEqual(['A', 'B', 'C']);
      expect(await other.get('d')).toBe('D');
    });

    it('sends on the next connection what a lost one held back', async () => {
      const adapter = redisAdapter(client, { prefix: 'lost-write:' });
      const put = adapter.put('a', 'A', 60_000);
      expect(client.stream.writableLength).toBeGreaterThan(0);
      client.stream.destroy();
      await put;
      expect(await adapter.get('a')).toBe('A');
    });

    it('sends what is held back when the host closes the client', async () => {
      const adapter = redisAdapter(client, { prefix: 'closed-write:' });
      const put = adapter.put('a', 'A', 60_000);
      expect(client.stream.writableLength).toBeGreaterThan(0);
      await client.quit();
      await put;
    });

    it('names a command that the client does not have', async () => {
      const old = new Proxy(client, {
        get: (target, name) => {
          const value: unknown = name === 'get' ? undefined : Reflect.get(target, name);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      });
      await expect(redisAdapter(old, { prefix: 'old:' }).get('a')).rejects.toThrow('no command get');
    });

    it('works with a client whose stream has no cork(), as that of a mock', async () => {
      const mock = new Proxy(client, {
        get: (target, name) => {
          const value: unknown = name === 'stream' ? {} : Reflect.get(target, name);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      });
      const adapter = redisAdapter(mock, { prefix: 'mocked:' });
      await adapter.put('a', 'A', 60_000);
      expect(await adapter.get('a')).toBe('A');
    });
  });

  it('lives through an outage that the host does not listen to, with a client of redis', async () => {
    const server = await startRedis();
    const client = createClient({ url: server.url, socket: { reconnectStrategy: 20 } });
    const adapter = redisAdapter(client);
    await client.connect();
    await adapter.put('key', 'value', 60);
    await server.kill();
    await server.start();
    for (let tries = 0; !client.isReady && tries < 100; tries++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    // Its scripts are gone with the server's memory.
    const grant = { id: 'a'.repeat(22), generation: 0, clientId: 'client', expiresAt: Date.now() + 60_000 };
    await adapter.saveGrant(grant);
    expect(await adapter.advanceGrant(grant.id, 0, { ...grant, generation: 1 })).toBe(true);
    client.destroy();
    await server.stop();
  });
});
