import OAuth2Server from '@node-oauth/oauth2-server';
import bcrypt from 'bcryptjs';
import express, { type Express } from 'express';
import { AuthorizationCode, ResourceOwnerPassword } from 'simple-oauth2';

import { createOAuthRouter, memoryAdapter, type OAuthRouter } from 'express-oauth-router';

import { listen } from '../support/host';

interface OldToken {
  clientId: string;
  userId: string;
  scope: string;
  expiresAt: Date;
}

/** What the old server has in its database. */
interface OldDatabase {
  clients: { id: string; secret: string; redirectUris: string[]; grants: string[]; scope: string }[];
  refreshTokens: Map<string, OldToken>;
  accessTokens: Map<string, OldToken>;
}

const CALLBACK = 'https://app.example.com/callback';

/** A small host on the old library, with the password grant. */
function oldHost(db: OldDatabase): Express {
  const clientOf = async (id: string, secret: string | null): Promise<OAuth2Server.Client | false> => {
    const client = db.clients.find((one) => one.id === id);
    if (!client || (secret !== null && !(await bcrypt.compare(secret, client.secret)))) return false;
    return { ...client };
  };
  const save = (token: OAuth2Server.Token, client: OAuth2Server.Client, user: OAuth2Server.User): void => {
    const of = { clientId: client.id, userId: String(user.id), scope: [token.scope ?? []].flat().join(' ') };
    db.accessTokens.set(token.accessToken, { ...of, expiresAt: token.accessTokenExpiresAt! });
    db.refreshTokens.set(token.refreshToken!, { ...of, expiresAt: token.refreshTokenExpiresAt! });
  };
  const server = new OAuth2Server({
    model: {
      getClient: clientOf,
      getUser: (username: string) => Promise.resolve({ id: username }),
      saveToken: (token: OAuth2Server.Token, client: OAuth2Server.Client, user: OAuth2Server.User) => {
        save(token, client, user);
        return Promise.resolve({ ...token, client, user });
      },
      validateScope: (_user: unknown, _client: unknown, scope?: string[]) => Promise.resolve(scope ?? []),
      getRefreshToken: () => Promise.resolve(false as const),
      revokeToken: () => Promise.resolve(true),
      getAccessToken: () => Promise.resolve(false as const),
    },
  });
  return express().post('/token', express.urlencoded(), (req, res, next) => {
    server.token(new OAuth2Server.Request(req), new OAuth2Server.Response(res)).then(
      (token) =>
        void res.json({
          access_token: token.accessToken,
          refresh_token: token.refreshToken,
          token_type: 'Bearer',
          expires_in: 3600,
        }),
      next,
    );
  });
}

function newHost(db: OldDatabase): { app: Express; oauth: OAuthRouter } {
  const oauth = createOAuthRouter({
    issuer: 'http://localhost:3000/oauth',
    adapter: memoryAdapter(),
    scopes: { orders: 'Your orders' },
    authenticate: () => undefined,
    loginUrl: '/login',
    verifyClientSecret: (clientSecret, hash) => hash.startsWith('$2') && bcrypt.compare(clientSecret, hash),
    refreshTokens: {
      import: (refreshToken) => {
        const old = db.refreshTokens.get(refreshToken);
        if (!old || old.expiresAt < new Date()) return undefined;
        return {
          id: refreshToken,
          clientId: old.clientId,
          user: { id: old.userId },
          scope: old.scope,
          issuedAt: 0,
        };
      },
    },
  });
  const requireToken = oauth.requireToken({ scope: 'orders' });
  const app = express().use('/oauth', oauth);
  app.get(
    '/orders',
    (req, res, next) => {
      const [, token = ''] = (req.get('Authorization') ?? '').split(' ');
      const old = db.accessTokens.get(token);
      if (!old || old.expiresAt < new Date()) return requireToken(req, res, next);
      res.locals.userId = old.userId;
      next();
    },
    (req, res) => void res.json((res.locals.userId as string | undefined) ?? req.oauth.userId),
  );
  return { app, oauth };
}

/** The way that docs/from-oauth2-server.md describes. */
it('clients and users of @node-oauth/oauth2-server come along, and nobody signs in again', async () => {
  const db: OldDatabase = {
    clients: ['web', 'shop'].map((id) => ({
      id,
      secret: bcrypt.hashSync(`the-secret-of-${id}`, 4),
      redirectUris: [CALLBACK],
      grants: ['authorization_code', 'refresh_token', 'password'],
      scope: 'orders',
    })),
    refreshTokens: new Map(),
    accessTokens: new Map(),
  };
  const before = await listen(oldHost(db));
  const configured = (
    id: string,
    tokenHost: string,
    tokenPath: string,
  ): ConstructorParameters<typeof AuthorizationCode>[0] => ({
    client: { id, secret: `the-secret-of-${id}` },
    auth: { tokenHost, tokenPath },
  });
  const signedIn = await Promise.all(
    ['web', 'shop', 'web'].map(async (id, position) => {
      const client = new ResourceOwnerPassword(configured(id, before.origin, '/token'));
      const { token } = await client.getToken({
        username: `user ${position}`,
        password: 'x',
        scope: 'orders',
      });
      return { id, user: `user ${position}`, token };
    }),
  );
  await before.close();

  const { app, oauth } = newHost(db);
  for (const old of db.clients) {
    await oauth.clients.create({
      clientId: old.id,
      clientSecretHash: old.secret,
      redirectUris: old.redirectUris,
      grantTypes: old.grants.filter((name) => name !== 'password'),
      scope: old.scope,
      grantsNotBefore: 0,
    });
  }
  const after = await listen(app);
  const ordersOf = async (token: unknown): Promise<unknown> => {
    const response = await fetch(`${after.origin}/orders`, {
      headers: { Authorization: `Bearer ${String(token)}` },
    });
    return response.status === 200 ? response.json() : response.status;
  };
  for (const { id, user, token } of signedIn) {
    expect(await ordersOf(token.access_token)).toBe(user);
    const client = new AuthorizationCode(configured(id, after.origin, '/oauth/token'));
    // Two tabs at once, and again later.
    const [one, other] = await Promise.all([1, 2].map(() => client.createToken(token).refresh()));
    expect(one!.token.refresh_token).toBe(other!.token.refresh_token);
    const next = await one!.refresh();
    expect(await ordersOf(next.token.access_token)).toBe(user);
    expect(await oauth.listGrants(user)).toHaveLength(1);
  }
  const shop = new AuthorizationCode({
    ...configured('shop', after.origin, '/oauth/token'),
    client: { id: 'shop', secret: 'wrong' },
  });
  await expect(shop.createToken(signedIn[1]!.token).refresh()).rejects.toThrow(/401/);
  expect(await ordersOf('anything')).toBe(401);
  await after.close();
});
