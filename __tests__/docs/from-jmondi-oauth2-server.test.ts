import { AuthorizationServer, DateInterval, type OAuthClient, type OAuthToken } from '@jmondi/oauth2-server';
import { handleExpressError, handleExpressResponse } from '@jmondi/oauth2-server/express';
import express, { type Express } from 'express';
import jwt from 'jsonwebtoken';
import * as client from 'openid-client';

import { createOAuthRouter, memoryAdapter, type OAuthRouter } from 'express-oauth-router';

import { listen } from '../support/host';

/** What the old server has in its database. */
interface OldDatabase {
  clients: OAuthClient[];
  tokens: Map<string, OAuthToken & { issuedAt: Date; revokedAt?: Date }>;
}

const JWT_SECRET = 'the secret of the old server, of thirty-two bytes';
const CALLBACK = 'https://app.example.com/callback';

/** A small host on the old library, with the password grant and refresh tokens that are JWTs. */
function oldHost(db: OldDatabase, { opaque }: { opaque: boolean }): Express {
  let count = 0;
  const server = new AuthorizationServer(
    {
      getByIdentifier: (id) => Promise.resolve(db.clients.find((one) => one.id === id)!),
      isClientValid: (_grant, { secret }, given) => Promise.resolve(secret === given),
    },
    {
      issueToken: (of, scopes, user) =>
        Promise.resolve({
          accessToken: `access ${++count}`,
          accessTokenExpiresAt: new DateInterval('1h').getEndDate(),
          client: of,
          user,
          scopes,
        }),
      issueRefreshToken: (token) => {
        const id = `refresh-token-${++count}`;
        const refreshTokenExpiresAt = new DateInterval('30d').getEndDate();
        const issued = { ...token, refreshToken: id, refreshTokenExpiresAt, issuedAt: new Date() };
        db.tokens.set(id, issued);
        return Promise.resolve(issued);
      },
      persist: () => Promise.resolve(),
      revoke: (token) => {
        const stored = db.tokens.get(token.refreshToken ?? '');
        if (stored) stored.revokedAt = new Date();
        return Promise.resolve();
      },
      isRefreshTokenRevoked: (token) =>
        Promise.resolve(db.tokens.get(token.refreshToken!)?.revokedAt !== undefined),
      getByRefreshToken: (id) => Promise.resolve(db.tokens.get(id)!),
    },
    {
      getAllByIdentifiers: (names) => Promise.resolve(names.map((name) => ({ name }))),
      finalize: (scopes) => Promise.resolve(scopes),
    },
    JWT_SECRET,
    { useOpaqueRefreshTokens: opaque },
  );
  const users = { getUserByCredentials: (id: string | number) => Promise.resolve({ id }) };
  server.enableGrantTypes({ grant: 'password', userRepository: users }, 'refresh_token');
  return express().post('/token', express.urlencoded(), (req, res) => {
    server.respondToAccessTokenRequest(req).then(
      (response) => handleExpressResponse(res, response),
      (thrown: unknown) => handleExpressError(thrown, res),
    );
  });
}

function newHost(db: OldDatabase, { opaque }: { opaque: boolean }): OAuthRouter {
  /** A refresh token is a JWT around the id, or the id itself. */
  function idOf(refreshToken: string): string | undefined {
    if (opaque) return refreshToken;
    try {
      const claims = jwt.verify(refreshToken, JWT_SECRET, { algorithms: ['HS256'] });
      return (claims as { refresh_token_id?: string }).refresh_token_id;
    } catch {
      return undefined;
    }
  }
  return createOAuthRouter({
    issuer: 'http://localhost:3000',
    adapter: memoryAdapter(),
    scopes: { orders: 'Your orders' },
    authenticate: () => undefined,
    loginUrl: '/login',
    refreshTokens: {
      import: (refreshToken) => {
        const id = idOf(refreshToken);
        const old = id === undefined ? undefined : db.tokens.get(id);
        if (!old || old.revokedAt || old.refreshTokenExpiresAt! < new Date() || !old.user) return undefined;
        return {
          id: old.refreshToken!,
          clientId: old.client.id,
          user: { id: old.user.id },
          scope: old.scopes.map(({ name }) => name),
          issuedAt: old.issuedAt.getTime() / 1000,
        };
      },
    },
  });
}

/** The way that docs/from-jmondi-oauth2-server.md describes. */
it.each([
  ['JWTs', false],
  ['opaque', true],
])('from @jmondi/oauth2-server, with refresh tokens that are %s', async (_, opaque) => {
  const db: OldDatabase = {
    clients: [
      {
        id: 'web',
        name: 'The shop',
        secret: 'the-secret-of-web',
        redirectUris: [CALLBACK],
        allowedGrants: ['authorization_code', 'refresh_token', 'password'],
        scopes: [{ name: 'orders' }],
      },
    ],
    tokens: new Map(),
  };
  const before = await listen(oldHost(db, { opaque }));
  const configured = (origin: string): client.Configuration => {
    const config = new client.Configuration(
      { issuer: 'http://localhost:3000', token_endpoint: `${origin}/token` },
      'web',
      {},
      client.ClientSecretPost('the-secret-of-web'),
    );
    client.allowInsecureRequests(config);
    return config;
  };
  const old = configured(before.origin);
  const signIn = (username: string): Promise<client.TokenEndpointResponse> =>
    client.genericGrantRequest(old, 'password', { username, password: 'x', scope: 'orders' });
  const [alice, bob] = [await signIn('alice'), await signIn('bob')];
  const bobNow = await client.refreshTokenGrant(old, bob.refresh_token!);
  await before.close();

  const oauth = newHost(db, { opaque });
  for (const { id, name, secret, redirectUris, allowedGrants, scopes } of db.clients) {
    await oauth.clients.create({
      clientId: id,
      clientName: name,
      ...(secret ? { clientSecret: secret } : {}),
      redirectUris,
      grantTypes: allowedGrants.filter((grant) => !['password', 'implicit'].includes(grant)),
      scope: scopes.map((scope) => scope.name).join(' '),
      grantsNotBefore: 0,
    });
  }
  const after = await listen(express().use(oauth));
  const config = configured(after.origin);
  for (const [user, token] of [
    ['alice', alice.refresh_token!],
    ['bob', bobNow.refresh_token!],
  ] as const) {
    const [one, other] = await Promise.all([1, 2].map(() => client.refreshTokenGrant(config, token)));
    expect(one!.refresh_token).toBe(other!.refresh_token);
    expect(jwt.decode(one!.access_token)).toMatchObject({ sub: user, scope: 'orders' });
    const next = await client.refreshTokenGrant(config, one!.refresh_token!);
    await client.refreshTokenGrant(config, next.refresh_token!);
    expect(await oauth.listGrants(user)).toHaveLength(1);
  }
  // What the old server has replaced, an access token of it, and one that it has not signed.
  const [stored] = db.tokens.keys();
  const forged = jwt.sign({ refresh_token_id: alice.refresh_token }, 'another secret');
  for (const token of [bob.refresh_token!, alice.access_token, forged, ...(opaque ? [] : [stored!])]) {
    await expect(client.refreshTokenGrant(config, token)).rejects.toMatchObject({ error: 'invalid_grant' });
  }
  await after.close();
});
