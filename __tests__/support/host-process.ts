/** A host in its own process: prints its port, and serves until it is killed. */
import express from 'express';
import Redis from 'ioredis';
import type { AddressInfo } from 'node:net';

import { Pool } from 'pg';

import { createOAuthRouter, redisAdapter, type Adapter } from 'express-oauth-router';
import { pgAdapter } from 'express-oauth-router/postgres';
import { sqliteAdapter } from 'express-oauth-router/sqlite';

import { openSqlite } from './sqlite';

const [store, place, leeway] = process.argv.slice(2) as [string, string, string];

/** The adapters by the name of their store, on a prefix or a file. */
const ADAPTERS: Record<string, () => Adapter> = {
  redis: () => redisAdapter(new Redis(process.env.REDIS_URL!), { prefix: place }),
  postgres: () => {
    const pool = new Pool({
      connectionString: process.env.POSTGRES_URL!,
      connectionTimeoutMillis: 4000,
      statement_timeout: 4000,
    });
    return pgAdapter(pool, { prefix: place });
  },
  sqlite: () => sqliteAdapter(openSqlite(place)),
};

const oauth = createOAuthRouter({
  issuer: 'http://localhost:3000',
  adapter: ADAPTERS[store]!(),
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
