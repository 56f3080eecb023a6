/** One of the two servers that are compared, in its own process: `node server.js bare|router`. */
import { createPrivateKey, generateKeyPairSync, randomUUID } from 'node:crypto';

import express from 'express';
import { createOAuthRouter, redisAdapter } from 'express-oauth-router';
import { Redis } from 'ioredis';
import jwt from 'jsonwebtoken';

const redis = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true });
const app = express();
app.disable('x-powered-by');

if (process.argv[2] === 'bare') {
  // The minimum of any token endpoint: parse, sign one ES256 JWT, ask Redis once.
  const { privateKey: pem } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const privateKey = createPrivateKey(pem);
  app.post('/token', express.urlencoded(), async (req, res) => {
    await redis.get(`bare:${req.body.refresh_token}`);
    const claims = { sub: 'alice', scope: 'profile', client_id: 'web', jti: randomUUID() };
    const accessToken = jwt.sign(claims, privateKey, {
      algorithm: 'ES256',
      expiresIn: 3600,
      issuer: 'http://localhost',
      audience: 'http://localhost',
      keyid: 'bare',
    });
    res.set('Cache-Control', 'no-store').json({
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: 3600,
      refresh_token: req.body.refresh_token,
    });
  });
} else {
  const client = {
    clientId: 'web',
    redirectUris: ['https://app.example.com/cb'],
    scope: 'profile',
    firstParty: true,
  };
  app.use(
    createOAuthRouter({
      issuer: 'http://localhost',
      adapter: redisAdapter(redis, { prefix: 'bench:' }),
      clients: [
        { ...client, clientSecret: 'secret' },
        { ...client, clientId: 'spa' },
        { clientId: 'machine', clientSecret: 'secret', grantTypes: ['client_credentials'], scope: 'profile' },
      ],
      authenticate: () => ({ id: 'alice' }),
      loginUrl: '/login',
    }),
  );
}

const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port));
// The connections wait while the other server is measured.
server.keepAliveTimeout = 0;
