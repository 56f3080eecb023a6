/** Serves a Redis adapter to the process that forked this one. */
import Redis from 'ioredis';

import { redisAdapter } from 'express-oauth-router';
import { serveAdapter } from 'express-oauth-router/adapter-contract';

serveAdapter(redisAdapter(new Redis(process.env.REDIS_URL!), { prefix: process.argv[2]! }));
