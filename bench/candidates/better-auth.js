import { oauthProvider } from '@better-auth/oauth-provider';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';
import express from 'express';
import pg from 'pg';

import { CALLBACK, form, inParts, listen, pkce } from './common.js';

const ROOT = '/api/auth';

/** On PostgreSQL: its memory adapter searches lists, and Redis may keep its sessions only. */
export async function create({ postgresUrl }) {
  const app = express().disable('x-powered-by');
  const port = await listen(app);
  const origin = `http://localhost:${port}`;
  const pool = new pg.Pool({ connectionString: postgresUrl });
  pool.on('error', () => undefined);
  const auth = betterAuth({
    baseURL: origin,
    secret: 'a secret of the benchmark, which has more than 32 bytes',
    database: pool,
    emailAndPassword: { enabled: true },
    rateLimit: { enabled: false },
    logger: { level: 'error' },
    plugins: [
      jwt({ jwks: { keyPairConfig: { alg: 'ES256' } }, jwt: { issuer: origin } }),
      oauthProvider({
        loginPage: '/login',
        consentPage: '/consent',
        scopes: ['openid', 'offline_access', 'api'],
        resources: [{ identifier: origin, allowedScopes: ['api', 'offline_access'] }],
        enforcePerClientResources: false,
        clientPrivileges: () => true,
        silenceWarnings: { oauthAuthServerConfig: true, openidConfig: true },
      }),
    ],
  });
  const { runMigrations } = await getMigrations(auth.options);
  await runMigrations();
  app.all(`${ROOT}/{*path}`, toNodeHandler(auth));

  const account = { email: 'user@example.com', password: 'a long password', name: 'A user' };
  const { headers } = await auth.api.signUpEmail({ body: account, returnHeaders: true });
  const cookie = headers
    .getSetCookie()
    .map((one) => one.split(';', 1)[0])
    .join('; ');
  const client = await auth.api.adminCreateOAuthClient({
    headers: new Headers({ cookie }),
    body: {
      redirect_uris: [CALLBACK],
      scope: 'openid offline_access api',
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      client_credentials_scopes: ['api'],
      skip_consent: true,
    },
  });
  const authorization = `Basic ${btoa(`${client.client_id}:${client.client_secret}`)}`;
  const asClient = (path, parameters) => {
    const request = form(`${ROOT}/oauth2/${path}`, parameters);
    return { ...request, headers: { ...request.headers, authorization } };
  };

  async function exchange() {
    const { verifier, challenge } = pkce();
    const query = new URLSearchParams({
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: CALLBACK,
      scope: 'offline_access api',
      resource: origin,
      state: 'x',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    });
    const response = await fetch(`${origin}${ROOT}/oauth2/authorize?${query}`, {
      headers: { cookie },
      redirect: 'manual',
    });
    // It answers fetch() with JSON.
    const { url } = await response.json();
    const code = new URL(url).searchParams.get('code');
    return asClient('token', {
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
      redirect_uri: CALLBACK,
      resource: origin,
    });
  }
  async function tokens() {
    const { path, ...request } = await exchange();
    return (await fetch(origin + path, request)).json();
  }
  const prepared = {
    'client credentials': () =>
      asClient('token', { grant_type: 'client_credentials', scope: 'api', resource: origin }),
    'code exchange': exchange,
    refresh: async () =>
      asClient('token', {
        grant_type: 'refresh_token',
        refresh_token: (await tokens()).refresh_token,
        resource: origin,
      }),
    introspection: async () => asClient('introspect', { token: (await tokens()).access_token }),
  };
  return {
    port,
    operations: Object.keys(prepared),
    prepare: ({ operation, count }) => inParts(count, prepared[operation]),
  };
}
