import Redis from 'ioredis';
import Redis5 from 'ioredis5';
import { createClient, createClientPool } from 'redis';
import { createClient as createClient5 } from 'redis5';

import { testRedisContract } from '../support/redis-contract';

const url = (): string => process.env.REDIS_URL!;

testRedisContract([
  { name: 'ioredis 5', connect: () => new Redis5(url()) },
  {
    name: 'ioredis 6 with keyPrefix and autopipelining',
    connect: () => new Redis(url(), { keyPrefix: 'k:', enableAutoPipelining: true }),
    keyPrefix: 'k:',
  },
  { name: 'redis 6 with RESP 2', connect: () => createClient({ url: url(), RESP: 2 }) },
  { name: 'a pool of redis 6', connect: () => createClientPool({ url: url() }) },
  { name: 'redis 5', connect: () => createClient5({ url: url() }) },
]);
