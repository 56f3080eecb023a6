/** express-oauth2-jwt-bearer, which verifies JWTs of ES256 against a key set. */
import { generateKeyPairSync, randomUUID } from 'node:crypto';

import express from 'express';
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer';
import jwt from 'jsonwebtoken';

import { inParts, listen } from './common.js';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

export async function create() {
  const app = express().disable('x-powered-by');
  const port = await listen(app);
  const issuer = `http://localhost:${port}`;
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256', use: 'sig' };
  app.get('/jwks', (_req, res) => res.json({ keys: [jwk] }));
  const check = auth({ issuer, jwksUri: `${issuer}/jwks`, audience: 'api', tokenSigningAlg: 'ES256' });
  app.get('/api', check, requiredScopes('api'), (_req, res) => res.json({ ok: true }));
  const request = () => {
    const claims = {
      iss: issuer,
      sub: 'user',
      aud: 'api',
      jti: randomUUID(),
      client_id: 'web',
      scope: 'api',
    };
    const token = jwt.sign(claims, privateKey, { algorithm: 'ES256', keyid: 'one', expiresIn: 3600 });
    return { method: 'GET', path: '/api', headers: { authorization: `Bearer ${token}` } };
  };
  return {
    port,
    operations: ['requireToken', 'requireToken, new token'],
    prepare: ({ count }) => inParts(count, request),
  };
}
