import Redis from 'ioredis';
import { createClient } from 'redis';

import { memoryAdapter } from 'express-oauth-router';
import { adapterContract } from 'express-oauth-router/adapter-contract';

import { applicable } from '../support/applicable';
import { testRedisContract } from '../support/redis-contract';

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

testRedisContract([
  { name: 'ioredis 6', connect: () => new Redis(process.env.REDIS_URL!) },
  { name: 'redis 6', connect: () => createClient({ url: process.env.REDIS_URL! }) },
]);
