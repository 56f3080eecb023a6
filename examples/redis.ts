/** The quick start on Redis: stop it and start it again, and everybody is still signed in to their apps. */
import Redis from 'ioredis';
import { redisAdapter } from 'express-oauth-router';

import { createApp } from './quickstart';

export function createRedisApp(origin: string, redis: Redis): ReturnType<typeof createApp> {
  return createApp(origin, redisAdapter(redis, { prefix: 'acme:oauth:' }));
}

if (require.main === module) {
  const origin = 'http://localhost:3000';
  const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379');
  createRedisApp(origin, redis).listen(3000, 'localhost', (error) => {
    if (error) throw error;
    console.log(`Open ${origin}`);
  });
}
