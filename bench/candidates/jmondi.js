/** @jmondi/oauth2-server behind Express, with access tokens of ES256 that jsonwebtoken signs, and one record for each token. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';

import { AuthorizationServer, DateInterval } from '@jmondi/oauth2-server';
import { handleExpressError, handleExpressResponse } from '@jmondi/oauth2-server/express';
import express from 'express';
import jwt from 'jsonwebtoken';

import {
  CALLBACK,
  CLIENT,
  credentials,
  exchange,
  inParts,
  listen,
  pkce,
  refreshing,
  storeOf,
} from './common.js';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

export async function create({ store, redisUrl }) {
  const data = storeOf(store, redisUrl, 'bench:jmondi:');
  const client = {
    id: CLIENT.id,
    name: 'web',
    secret: CLIENT.secret,
    redirectUris: [CALLBACK],
    allowedGrants: ['authorization_code', 'refresh_token', 'client_credentials'],
    scopes: [{ name: 'api' }],
  };
  const date = (value) => value && new Date(value);
  const newId = () => randomBytes(20).toString('hex');
  const server = new AuthorizationServer(
    {
      getByIdentifier: async () => client,
      isClientValid: async (_grant, { secret }, given) => secret === given,
    },
    {
      issueToken: async (of, scopes, user) => ({
        accessToken: newId(),
        accessTokenExpiresAt: new DateInterval('1h').getEndDate(),
        client: of,
        user,
        scopes,
      }),
      issueRefreshToken: async (token) => {
        const refreshTokenExpiresAt = new DateInterval('30d').getEndDate();
        const issued = { ...token, refreshToken: newId(), refreshTokenExpiresAt };
        await data.set(`refresh:${issued.refreshToken}`, issued);
        return issued;
      },
      persist: async () => undefined,
      revoke: async (token) => void (await data.delete(`refresh:${token.refreshToken}`)),
      isRefreshTokenRevoked: async () => false,
      getByRefreshToken: async (id) => {
        const found = await data.get(`refresh:${id}`);
        return {
          ...found,
          accessTokenExpiresAt: date(found.accessTokenExpiresAt),
          refreshTokenExpiresAt: date(found.refreshTokenExpiresAt),
        };
      },
    },
    {
      getAllByIdentifiers: async (names) => names.map((name) => ({ name })),
      finalize: async (scopes) => scopes,
    },
    {
      verify: async (token) => jwt.verify(token, publicKey, { algorithms: ['ES256'] }),
      decode: (token) => jwt.decode(token),
      sign: async (payload) => jwt.sign(payload, privateKey, { algorithm: 'ES256', keyid: 'one' }),
    },
    { useOpaqueRefreshTokens: true, useOpaqueAuthorizationCodes: true },
  );
  server.enableGrantTypes('client_credentials', 'refresh_token', {
    grant: 'authorization_code',
    userRepository: { getUserByCredentials: async (id) => ({ id }) },
    authCodeRepository: {
      issueAuthCode: (of, user, scopes) => ({
        code: newId(),
        redirectUri: CALLBACK,
        expiresAt: new DateInterval('10m').getEndDate(),
        client: of,
        user,
        scopes,
      }),
      persist: async (code) => data.set(`code:${code.code}`, code),
      isRevoked: async (code) => (await data.get(`code:${code}`)) === undefined,
      revoke: async (code) => void (await data.delete(`code:${code}`)),
      getByIdentifier: async (code) => {
        const found = await data.get(`code:${code}`);
        return { ...found, expiresAt: date(found.expiresAt) };
      },
    },
  });
  const app = express().disable('x-powered-by');
  app.post('/token', express.urlencoded(), (req, res) => {
    server.respondToAccessTokenRequest(req).then(
      (response) => handleExpressResponse(res, response),
      (thrown) => handleExpressError(thrown, res),
    );
  });
  const port = await listen(app);

  async function code() {
    const { verifier, challenge } = pkce();
    const request = await server.validateAuthorizationRequest({
      headers: {},
      body: {},
      query: {
        response_type: 'code',
        client_id: CLIENT.id,
        redirect_uri: CALLBACK,
        scope: 'api',
        state: 'x',
        code_challenge: challenge,
        code_challenge_method: 'S256',
      },
    });
    request.user = { id: 'user' };
    request.isAuthorizationApproved = true;
    const { headers } = await server.completeAuthorizationRequest(request);
    return { code: new URL(headers.location).searchParams.get('code'), verifier };
  }
  async function tokens() {
    const { path, ...request } = exchange('/token', await code());
    return (await fetch(`http://localhost:${port}${path}`, request)).json();
  }
  const prepared = {
    'client credentials': () => credentials('/token'),
    'code exchange': async () => exchange('/token', await code()),
    refresh: async () => refreshing('/token', (await tokens()).refresh_token),
  };
  return {
    port,
    operations: Object.keys(prepared),
    prepare: ({ operation, count }) => inParts(count, prepared[operation]),
  };
}
