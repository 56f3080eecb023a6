/**
 * The quick start on Redis, which keeps its grants. Set `secrets` and `signingKeys` too, so that tokens stay valid after a
 * restart.
 */
import { Redis } from 'ioredis';
import { redisAdapter } from 'express-oauth-router';

import { listenOnLoopback } from './listen';
import { createApp } from './quickstart';

export function createRedisApp(origin: string, redis: Redis): ReturnType<typeof createApp> {
  return createApp(origin, { adapter: redisAdapter(redis, { prefix: 'acme:oauth:' }) });
}

if (require.main === module) {
  const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379');
  listenOnLoopback((origin) => createRedisApp(origin, redis));
}
