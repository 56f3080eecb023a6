import type { ChildProcess } from 'node:child_process';

import Redis from 'ioredis';

import { redisAdapter, type Adapter, type RedisClient } from 'express-oauth-router';
import { adapterContract } from 'express-oauth-router/adapter-contract';

import { applicable } from './applicable';
import { forkAdapter } from './forked-adapter';

/** Runs the contract suite with clients of Redis: `keyPrefix` is what a client adds to keys. */
export function testRedisContract(
  clients: readonly { name: string; connect: () => RedisClient; keyPrefix?: string }[],
): void {
  describe.each(clients)('redisAdapter on $name', ({ connect, keyPrefix = '' }) => {
    let redis: RedisClient;
    let other: Adapter;
    let child: ChildProcess;

    beforeAll(async () => {
      ({ adapter: other, child } = forkAdapter('adapter-process.ts', `${keyPrefix}contract:`));
      redis = connect();
      // ioredis connects by itself.
      if ('connect' in redis && !('defineCommand' in redis))
        await (redis as { connect(): Promise<unknown> }).connect();
    });
    afterAll(async () => {
      child.kill();
      const { quit, close = quit } = redis as { quit?(): Promise<unknown>; close?(): Promise<unknown> };
      await close?.call(redis);
    });

    adapterContract(
      () => ({
        adapter: redisAdapter(redis, { prefix: 'contract:' }),
        other: () => other,
        unreachable: () => {
          const away = new Redis({ port: 1, host: '127.0.0.1', retryStrategy: () => null });
          away.on('error', () => undefined);
          return redisAdapter(away);
        },
      }),
      applicable,
      // Redis drops what has expired by itself.
      { without: ['sweep'] },
    );
  });
}
