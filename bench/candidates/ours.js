import { createHash, generateKeyPairSync, randomBytes, randomUUID, sign } from 'node:crypto';

import express from 'express';
import { createOAuthRouter, memoryAdapter, redisAdapter } from 'express-oauth-router';
import { migrate, pgAdapter } from 'express-oauth-router/postgres';
import { Redis } from 'ioredis';
import pg from 'pg';

import {
  CALLBACK,
  CLIENT,
  credentials,
  exchange,
  form,
  inParts,
  listen,
  pkce,
  refreshing,
} from './common.js';

const dpopKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** @see RFC 9449 §4.2 */
function dpopProof(htm, htu, accessToken) {
  const jwk = dpopKey.publicKey.export({ format: 'jwk' });
  const ath = accessToken && createHash('sha256').update(accessToken).digest('base64url');
  const claims = { htm, htu, ath, jti: randomUUID(), iat: Math.floor(Date.now() / 1000) };
  const input = `${encoded({ alg: 'ES256', typ: 'dpop+jwt', jwk })}.${encoded(claims)}`;
  const signature = sign('sha256', Buffer.from(input), {
    key: dpopKey.privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${input}.${signature.toString('base64url')}`;
}

async function adapterOf(store, { redisUrl, postgresUrl }) {
  if (store === 'memory') return memoryAdapter({ maxEntries: 2_000_000 });
  if (store === 'redis') return redisAdapter(new Redis(redisUrl), { prefix: 'bench:ours:' });
  const pool = new pg.Pool({ connectionString: postgresUrl });
  await migrate(pool);
  return pgAdapter(pool);
}

export async function create({ store, ...urls }) {
  const app = express().disable('x-powered-by');
  const port = await listen(app);
  const adapter = await adapterOf(store, urls);
  let users = 0;
  const oauth = createOAuthRouter({
    issuer: `http://localhost:${port}/oauth`,
    adapter,
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
      { clientId: 'third', clientSecret: CLIENT.secret, redirectUris: [CALLBACK], scope: 'api' },
    ],
    scopes: { api: 'The API' },
    authenticate: (req) => ({ id: req.query.client_id === 'third' ? 'asked-before' : `user-${users++}` }),
    loginUrl: '/login',
  });
  app.use('/oauth', oauth);
  const ok = (_req, res) => res.json({ ok: true });
  app.get('/api', oauth.requireToken({ scope: 'api' }), ok);
  app.get('/checked', oauth.requireToken({ scope: 'api', checkRevocation: true }), ok);
  await adapter.saveConsent({
    userId: 'asked-before',
    clientId: 'third',
    scope: ['api'],
    resources: [`http://localhost:${port}/oauth`],
    grantedAt: Date.now(),
  });
  const origin = `http://localhost:${port}`;

  function authorization(clientId, challenge) {
    const query = new URLSearchParams({
      client_id: clientId,
      response_type: 'code',
      redirect_uri: CALLBACK,
      scope: 'api',
      state: 'x',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    });
    return `/oauth/authorize?${query}`;
  }
  async function code() {
    const { verifier, challenge } = pkce();
    const { headers } = await fetch(origin + authorization(CLIENT.id, challenge), { redirect: 'manual' });
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
    requireToken: async () => api('/api', (await tokens()).access_token),
    'requireToken, new token': async () => api('/api', (await ofMachine()).access_token),
    'requireToken, checkRevocation': async () => api('/checked', (await tokens()).access_token),
    'requireToken, DPoP': async () => {
      bound ??= await ofMachine({ dpop: dpopProof('POST', `${origin}/oauth/token`) });
      const { access_token: token } = bound;
      const headers = { authorization: `DPoP ${token}`, dpop: dpopProof('GET', `${origin}/api`, token) };
      return { method: 'GET', path: '/api', headers };
    },
    'authorize, remembered consent': () => ({
      method: 'GET',
      path: authorization('third', pkce().challenge),
      headers: {},
    }),
  };
  /** Adds grants like one that was made in the usual way, of a user each. Returns how many. */
  async function load(count) {
    const { code: unspent } = await code();
    const { path, ...request } = exchange('/oauth/token', await code());
    await fetch(origin + path, request);
    const model = await adapter.getGrant(Buffer.from(unspent, 'base64url').toString('base64url', 0, 16));
    const day = 86_400_000;
    const live = { ...model, generation: 2, rotatedAt: Date.now(), expiresAt: Date.now() + 30 * day };
    const spent = { codeChallenge: undefined, redirectUri: undefined, redirectUriGiven: undefined };
    await inParts(count, () => {
      const [id, userId] = [randomBytes(16).toString('base64url'), `user-${users++}`];
      return adapter.saveGrant({ ...live, ...spent, absoluteExpiresAt: Date.now() + 365 * day, id, userId });
    });
    return count;
  }
  let bound;
  const api = (path, token) => ({ method: 'GET', path, headers: { authorization: `Bearer ${token}` } });
  async function ofMachine(headers = {}) {
    const { path, ...request } = credentials('/oauth/token');
    return (await fetch(origin + path, { ...request, headers: { ...request.headers, ...headers } })).json();
  }
  return {
    port,
    operations: Object.keys(prepared),
    prepare: ({ operation, count }) =>
      operation === 'live grants' ? load(count) : inParts(count, prepared[operation]),
  };
}
