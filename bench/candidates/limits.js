/** What no server can be faster than: Node, Express, one signature, one script of Redis. */
import { generateKeyPairSync, sign } from 'node:crypto';
import http from 'node:http';

import express from 'express';
import { Redis } from 'ioredis';

import { credentials, form, FORM, listen } from './common.js';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const header = encoded({ alg: 'ES256', typ: 'at+jwt', kid: 'one' });

function token() {
  const input = `${header}.${encoded({ iss: 'http://localhost', sub: 'web', aud: 'api', iat: 1, exp: 2, jti: 'x', client_id: 'web', scope: 'api' })}`;
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

export async function create({ redisUrl }) {
  const redis = new Redis(redisUrl);
  redis.defineCommand('one', {
    numberOfKeys: 1,
    lua: "redis.call('SET', KEYS[1], ARGV[1], 'PX', 1000000) return 1",
  });
  const record = JSON.stringify({ record: 'x'.repeat(250) });
  const app = express().disable('x-powered-by');
  const answer = (res) =>
    res
      .set('Cache-Control', 'no-store')
      .json({ access_token: token(), token_type: 'Bearer', expires_in: 3600, scope: 'api' });
  app.post('/l1', express.urlencoded(), (_req, res) => answer(res));
  app.post('/l2', express.urlencoded(), async (_req, res) => {
    await redis.one(`bench:limit:${Math.floor(Math.random() * 1e5)}`, record);
    answer(res);
  });
  app.get('/get', (_req, res) => res.json({ ok: true }));
  const get = (path) => ({ method: 'GET', path, headers: { authorization: FORM.authorization } });
  const requests = {
    L1: credentials('/l1'),
    L2: form('/l2', { grant_type: 'refresh_token', refresh_token: 'x'.repeat(72) }),
    GET: get('/get'),
    'GET without Express': get('/node'),
  };
  const server = http.createServer((req, res) => {
    if (req.url !== '/node') return app(req, res);
    res.writeHead(200, { 'Content-Type': 'application/json' }).end('{"ok":true}');
  });
  return {
    port: await listen(server),
    operations: Object.keys(requests),
    prepare: ({ operation, count }) => Array.from({ length: count }, () => ({ ...requests[operation] })),
  };
}
