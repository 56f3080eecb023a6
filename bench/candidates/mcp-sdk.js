/** The router of the MCP SDK's version 1, with access tokens of ES256 that jsonwebtoken signs, and one record for each token. */
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';

import { mcpAuthRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';
import express from 'express';
import jwt from 'jsonwebtoken';

import { CALLBACK, CLIENT, exchange, FORM, inParts, listen, pkce, refreshing, storeOf } from './common.js';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

export async function create({ store, redisUrl }) {
  const data = storeOf(store, redisUrl, 'bench:mcp:');
  const newId = () => randomBytes(32).toString('base64url');

  async function issue({ clientId, userId, scopes }) {
    const refreshToken = newId();
    await data.set(`refresh:${refreshToken}`, { clientId, userId, scopes });
    const claims = {
      iss: 'http://localhost',
      sub: userId,
      aud: 'api',
      jti: randomUUID(),
      client_id: clientId,
    };
    return {
      access_token: jwt.sign({ ...claims, scope: 'api' }, privateKey, {
        algorithm: 'ES256',
        expiresIn: 3600,
      }),
      token_type: 'bearer',
      expires_in: 3600,
      scope: 'api',
      refresh_token: refreshToken,
    };
  }
  const provider = {
    clientsStore: {
      getClient: async () => ({
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [CALLBACK],
        token_endpoint_auth_method: 'client_secret_post',
      }),
    },
    authorize: async () => undefined,
    challengeForAuthorizationCode: async (_client, code) => (await data.get(`code:${code}`)).challenge,
    exchangeAuthorizationCode: async (_client, code) => {
      const found = await data.get(`code:${code}`);
      await data.delete(`code:${code}`);
      return issue(found);
    },
    exchangeRefreshToken: async (_client, token) => {
      const found = await data.get(`refresh:${token}`);
      await data.delete(`refresh:${token}`);
      return issue(found);
    },
    verifyAccessToken: async () => undefined,
  };
  const app = express().disable('x-powered-by');
  app.use(
    mcpAuthRouter({ provider, issuerUrl: new URL('http://localhost'), tokenOptions: { rateLimit: false } }),
  );

  /** It reads credentials from the body only. */
  const withSecret = ({ headers: _, body, ...request }) => ({
    ...request,
    headers: { 'content-type': FORM['content-type'] },
    body: `${body}&client_id=${CLIENT.id}&client_secret=${CLIENT.secret}`,
  });
  const prepared = {
    'code exchange': async () => {
      const { verifier, challenge } = pkce();
      const code = newId();
      await data.set(`code:${code}`, { challenge, clientId: CLIENT.id, userId: 'user', scopes: ['api'] });
      return withSecret(exchange('/token', { code, verifier }));
    },
    refresh: async () =>
      withSecret(
        refreshing(
          '/token',
          (await issue({ clientId: CLIENT.id, userId: 'user', scopes: ['api'] })).refresh_token,
        ),
      ),
  };
  return {
    port: await listen(app),
    operations: Object.keys(prepared),
    prepare: ({ operation, count }) => inParts(count, prepared[operation]),
  };
}
