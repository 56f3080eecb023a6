import Redis from 'ioredis';
import Redis5 from 'ioredis5';

import { memoryAdapter, redisAdapter } from 'express-oauth-router';
import { adapterContract } from 'express-oauth-router/adapter-contract';

describe('memoryAdapter', () => {
  adapterContract(
    () => {
      let now = Date.now();
      const advance = (seconds: number): void => {
        now += seconds * 1000;
      };
      return { adapter: memoryAdapter({ clock: () => now }), advance };
    },
    { describe, it },
  );
});

describe.each([
  ['ioredis 6', (): Redis => new Redis(process.env.REDIS_URL!)],
  ['ioredis 5', (): Redis5 => new Redis5(process.env.REDIS_URL!)],
  [
    'ioredis 6 with keyPrefix and autopipelining',
    (): Redis => new Redis(process.env.REDIS_URL!, { keyPrefix: 'k:', enableAutoPipelining: true }),
  ],
])('redisAdapter on %s', (_name, connect) => {
  adapterContract(
    () => {
      const redis = connect();
      return { adapter: redisAdapter(redis, { prefix: 'contract:' }), close: () => redis.quit() };
    },
    { describe, it },
  );
});
