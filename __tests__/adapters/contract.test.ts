import type { ChildProcess } from 'node:child_process';

import Redis from 'ioredis';
import Redis5 from 'ioredis5';

import { memoryAdapter, redisAdapter, type Adapter } from 'express-oauth-router';
import { adapterContract } from 'express-oauth-router/adapter-contract';

import { applicable } from '../support/applicable';
import { forkAdapter } from '../support/forked-adapter';

describe('memoryAdapter', () => {
  adapterContract(
    () => {
      let now = Date.now();
      const advance = (seconds: number): void => {
        now += seconds * 1000;
      };
      return { adapter: memoryAdapter({ clock: () => now }), advance, sweep: advance };
    },
    applicable,
    // It is in this process, and so has neither another process nor a connection that could be lost.
    { without: ['other', 'unreachable'] },
  );
});

describe.each([
  ['ioredis 6', 'contract:', (): Redis => new Redis(process.env.REDIS_URL!)],
  ['ioredis 5', 'contract:', (): Redis5 => new Redis5(process.env.REDIS_URL!)],
  [
    'ioredis 6 with keyPrefix and autopipelining',
    'k:contract:',
    (): Redis => new Redis(process.env.REDIS_URL!, { keyPrefix: 'k:', enableAutoPipelining: true }),
  ],
])('redisAdapter on %s', (_name, prefix, connect) => {
  let other: Adapter;
  let child: ChildProcess;

  beforeAll(() => ({ adapter: other, child } = forkAdapter('adapter-process.ts', prefix)));
  afterAll(() => void child.kill());

  adapterContract(
    () => {
      const redis = connect();
      return {
        adapter: redisAdapter(redis, { prefix: 'contract:' }),
        other: () => other,
        unreachable: () => {
          const away = new Redis({ port: 1, host: '127.0.0.1', retryStrategy: () => null });
          away.on('error', () => undefined);
          return redisAdapter(away);
        },
        close: () => redis.quit(),
      };
    },
    applicable,
    // Redis drops what has expired by itself.
    { without: ['sweep'] },
  );
});
