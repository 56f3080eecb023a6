import { createHash, randomBytes } from 'node:crypto';

import { Redis } from 'ioredis';

export const CLIENT = { id: 'web', secret: 'k3Jd9fQ2vX7bN1mZ5tR8wY4cL6hG0pSa' };
export const CALLBACK = 'https://app.example.com/callback';
export const BASIC = `Basic ${Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString('base64')}`;
export const FORM = { authorization: BASIC, 'content-type': 'application/x-www-form-urlencoded' };

export function pkce() {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

/** Starts an app of Express, or a server of Node. */
export function listen(app) {
  return new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(server.address().port));
    server.keepAliveTimeout = 60_000;
  });
}

/** Requests for a path: each has the whole body. */
export const form = (path, parameters) => ({
  method: 'POST',
  path,
  headers: FORM,
  body: new URLSearchParams(parameters).toString(),
});

export const credentials = (path) => form(path, { grant_type: 'client_credentials', scope: 'api' });
export const exchange = (path, { code, verifier }) =>
  form(path, { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK });
export const refreshing = (path, refreshToken) =>
  form(path, { grant_type: 'refresh_token', refresh_token: refreshToken });

/** A store of records, as the documentation of most libraries has it. */
export function storeOf(store, redisUrl, prefix) {
  if (store === 'memory') {
    const map = new Map();
    return {
      get: async (key) => map.get(key),
      set: async (key, value) => void map.set(key, value),
      delete: async (key) => map.delete(key),
    };
  }
  const redis = new Redis(redisUrl);
  return {
    get: async (key) => {
      const text = await redis.get(prefix + key);
      return text === null ? undefined : JSON.parse(text);
    },
    set: (key, value) => redis.set(prefix + key, JSON.stringify(value), 'PX', 3_600_000),
    delete: async (key) => (await redis.del(prefix + key)) > 0,
  };
}

/** Makes requests, some at a time. */
export async function inParts(count, make) {
  const all = [];
  while (all.length < count)
    all.push(...(await Promise.all(Array.from({ length: Math.min(50, count - all.length) }, make))));
  return all;
}
