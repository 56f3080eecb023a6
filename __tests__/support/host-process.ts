/** A host in its own process: prints its port, and serves until it is killed. */
import express from 'express';
import Redis from 'ioredis';
import type { AddressInfo } from 'node:net';

import { createOAuthRouter, redisAdapter } from 'express-oauth-router';

const [prefix, leeway] = process.argv.slice(2);
const oauth = createOAuthRouter({
  issuer: 'http://localhost:3000',
  adapter: redisAdapter(new Redis(process.env.REDIS_URL!), { prefix: prefix! }),
  secrets: ['a secret of the tests that has more than 32 bytes'],
  clients: [
    {
      clientId: 'web',
      clientSecret: 'web-secret',
      redirectUris: ['https://app.example.com/callback'],
      scope: 'profile',
      firstParty: true,
    },
  ],
  authenticate: () => ({ id: 'alice' }),
  loginUrl: '/login',
  refreshTokens: { leeway: Number(leeway) },
});
const server = express()
  .use(oauth)
  .listen(0, '127.0.0.1', () => {
    process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
  });
