/** @node-oauth/oauth2-server behind Express, with access tokens that jsonwebtoken signs, and one record for each token. */
import { generateKeyPairSync, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';

import OAuth2Server from '@node-oauth/oauth2-server';
import express from 'express';
import jwt from 'jsonwebtoken';

import { CALLBACK, CLIENT, credentials, exchange, listen, pkce, refreshing, storeOf } from './common.js';

const { Request, Response } = OAuth2Server;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

export async function create({ store, redisUrl }) {
  const data = storeOf(store, redisUrl, 'bench:node-oauth:');
  const client = {
    id: CLIENT.id,
    grants: ['authorization_code', 'refresh_token', 'client_credentials'],
    redirectUris: [CALLBACK],
  };
  const date = (value) => value && new Date(value);
  const server = new OAuth2Server({
    model: {
      getClient: async (id, secret) => {
        if (id !== CLIENT.id) return false;
        const same =
          secret === null ||
          timingSafeEqual(Buffer.from(secret.padEnd(32).slice(0, 32)), Buffer.from(CLIENT.secret));
        return same ? client : false;
      },
      generateAccessToken: async (of, user, scope) =>
        jwt.sign(
          {
            iss: 'http://localhost',
            sub: user.id,
            aud: 'api',
            jti: randomUUID(),
            client_id: of.id,
            scope: scope.join(' '),
          },
          privateKey,
          { algorithm: 'ES256', keyid: 'one', expiresIn: 3600 },
        ),
      getUserFromClient: async () => ({ id: CLIENT.id }),
      saveToken: async (token, of, user) => {
        const saved = { ...token, client: { id: of.id }, user };
        await Promise.all([
          data.set(`access:${token.accessToken}`, saved),
          token.refreshToken ? data.set(`refresh:${token.refreshToken}`, saved) : undefined,
        ]);
        return saved;
      },
      getAccessToken: async (token) => {
        const found = await data.get(`access:${token}`);
        return found && { ...found, accessTokenExpiresAt: date(found.accessTokenExpiresAt) };
      },
      getRefreshToken: async (token) => {
        const found = await data.get(`refresh:${token}`);
        return found && { ...found, refreshTokenExpiresAt: date(found.refreshTokenExpiresAt) };
      },
      revokeToken: ({ refreshToken }) => data.delete(`refresh:${refreshToken}`),
      getAuthorizationCode: async (code) => {
        const found = await data.get(`code:${code}`);
        return found && { ...found, expiresAt: date(found.expiresAt) };
      },
      revokeAuthorizationCode: ({ authorizationCode }) => data.delete(`code:${authorizationCode}`),
      validateScope: async (_user, _client, scope) => scope ?? ['api'],
    },
  });
  const app = express().disable('x-powered-by');
  app.post('/token', express.urlencoded(), async (req, res) => {
    const response = new Response(res);
    await server.token(new Request(req), response);
    res.set(response.headers).json(response.body);
  });
  app.get('/api', async (req, res) => {
    await server.authenticate(new Request(req), new Response(res));
    res.json({ ok: true });
  });
  async function code() {
    const { verifier, challenge } = pkce();
    const authorizationCode = randomBytes(20).toString('hex');
    await data.set(`code:${authorizationCode}`, {
      authorizationCode,
      expiresAt: new Date(Date.now() + 600_000),
      redirectUri: CALLBACK,
      scope: ['api'],
      client: { id: CLIENT.id },
      user: { id: 'user' },
      codeChallenge: challenge,
      codeChallengeMethod: 'S256',
    });
    return { code: authorizationCode, verifier };
  }
  async function token() {
    const [accessToken, refreshToken] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
    const later = new Date(Date.now() + 3_600_000);
    const saved = {
      accessToken,
      refreshToken,
      accessTokenExpiresAt: later,
      refreshTokenExpiresAt: later,
      scope: ['api'],
      client: { id: CLIENT.id },
      user: { id: 'user' },
    };
    await Promise.all([data.set(`access:${accessToken}`, saved), data.set(`refresh:${refreshToken}`, saved)]);
    return saved;
  }
  const prepared = {
    'client credentials': () => credentials('/token'),
    'code exchange': async () => exchange('/token', await code()),
    refresh: async () => refreshing('/token', (await token()).refreshToken),
    requireToken: async () => ({
      method: 'GET',
      path: '/api',
      headers: { authorization: `Bearer ${(await token()).accessToken}` },
    }),
  };
  return {
    port: await listen(app),
    operations: Object.keys(prepared),
    prepare: ({ operation, count }) => Promise.all(Array.from({ length: count }, prepared[operation])),
  };
}
