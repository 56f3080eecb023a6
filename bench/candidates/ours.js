import { generateKeyPairSync } from 'node:crypto';

import express from 'express';
import { createOAuthRouter, memoryAdapter, redisAdapter } from 'express-oauth-router';
import { Redis } from 'ioredis';

import { BASIC, CALLBACK, CLIENT, credentials, exchange, form, listen, pkce, refreshing } from './common.js';

export async function create({ store, redisUrl }) {
  const app = express().disable('x-powered-by');
  const port = await listen(app);
  const redis = store === 'redis' ? new Redis(redisUrl) : undefined;
  let users = 0;
  const oauth = createOAuthRouter({
    issuer: `http://localhost:${port}/oauth`,
    adapter: redis ? redisAdapter(redis, { prefix: 'bench:ours:' }) : memoryAdapter(),
    secrets: ['a secret of the benchmark, which has more than 32 bytes'],
    signingKeys: [generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
    clients: [
      {
        clientId: CLIENT.id,
        clientSecret: CLIENT.secret,
        grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'],
        redirectUris: [CALLBACK],
        scope: 'api',
        firstParty: true,
      },
    ],
    scopes: { api: 'The API' },
    authenticate: () => ({ id: `user-${users++}` }),
    loginUrl: '/login',
  });
  app.use('/oauth', oauth);
  app.get('/api', oauth.requireToken({ scope: 'api' }), (_req, res) => res.json({ ok: true }));
  const origin = `http://localhost:${port}`;

  async function code() {
    const { verifier, challenge } = pkce();
    const query = new URLSearchParams({
      client_id: CLIENT.id,
      response_type: 'code',
      redirect_uri: CALLBACK,
      scope: 'api',
      state: 'x',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    });
    const { headers } = await fetch(`${origin}/oauth/authorize?${query}`, { redirect: 'manual' });
    return { code: new URL(headers.get('location')).searchParams.get('code'), verifier };
  }
  async function tokens() {
    const { path, ...request } = exchange('/oauth/token', await code());
    return (await fetch(origin + path, request)).json();
  }

  const prepared = {
    'client credentials': () => credentials('/oauth/token'),
    'code exchange': async () => exchange('/oauth/token', await code()),
    refresh: async () => refreshing('/oauth/token', (await tokens()).refresh_token),
    introspection: async () => form('/oauth/introspect', { token: (await tokens()).access_token }),
    requireToken: async () => ({
      method: 'GET',
      path: '/api',
      headers: { authorization: `Bearer ${(await tokens()).access_token}` },
    }),
  };
  return {
    port,
    operations: Object.keys(prepared),
    prepare: ({ operation, count }) => inParts(count, prepared[operation]),
    basic: BASIC,
  };
}

export async function inParts(count, make) {
  const all = [];
  while (all.length < count)
    all.push(...(await Promise.all(Array.from({ length: Math.min(50, count - all.length) }, make))));
  return all;
}
