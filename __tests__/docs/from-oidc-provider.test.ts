import express from 'express';
import * as jose from 'jose';
import type { AdapterPayload } from 'oidc-provider';
import * as client from 'openid-client';

import {
  createOAuthRouter,
  fromRfc7591,
  memoryAdapter,
  type OAuthRouter,
  type SigningJwk,
} from 'express-oauth-router';

import { browser } from '../support/browser';
import { listen } from '../support/host';
import { startProcessWith, type ServerProcess } from '../support/process';

const CALLBACK = 'https://app.example.com/callback';
const SECRET = 'a client secret of thirty-two bytes or more';
const GRANT_TYPES = ['authorization_code', 'refresh_token'];

/** The way that docs/from-oidc-provider.md describes, from a running server to ours at the same issuer. */
describe('from oidc-provider', () => {
  const oldClients = [
    {
      client_id: 'web',
      client_secret: SECRET,
      redirect_uris: [CALLBACK],
      grant_types: GRANT_TYPES,
      scope: 'openid email offline_access',
    },
    {
      client_id: 'app',
      redirect_uris: ['com.example.app:/callback'],
      application_type: 'native',
      grant_types: GRANT_TYPES,
      token_endpoint_auth_method: 'none',
      scope: 'openid email offline_access',
    },
  ];
  let before: ServerProcess;
  let issuer: string;
  let oldKey: SigningJwk;

  beforeAll(async () => {
    const { privateKey } = await jose.generateKeyPair('RS256', { extractable: true });
    oldKey = { ...(await jose.exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'old' };
    before = await startProcessWith(
      { OLD_CLIENTS: JSON.stringify(oldClients), OLD_KEYS: JSON.stringify([oldKey]) },
      'migrating-oidc-provider-process.ts',
    );
    issuer = before.origin.replace('127.0.0.1', 'localhost');
  });
  afterAll(() => before.kill());

  const configured = (id: string, authentication: client.ClientAuth): Promise<client.Configuration> =>
    client.discovery(new URL(issuer), id, {}, authentication, { execute: [client.allowInsecureRequests] });

  async function signIn(
    config: client.Configuration,
    redirectUri: string,
    options: client.DPoPOptions = {},
  ): Promise<client.TokenEndpointResponse & client.TokenEndpointResponseHelpers> {
    const pkceCodeVerifier = client.randomPKCECodeVerifier();
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: 'openid email offline_access',
      prompt: 'consent',
      code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
    });
    const answer = await browser(issuer, [redirectUri]).visit(url.href);
    return client.authorizationCodeGrant(
      config,
      new URL(answer.url),
      { pkceCodeVerifier },
      undefined,
      options,
    );
  }

  async function newHost(database: Map<string, AdapterPayload>): Promise<OAuthRouter> {
    const oauth = createOAuthRouter({
      issuer,
      adapter: memoryAdapter(),
      signingKeys: [oldKey],
      authenticate: () => undefined,
      loginUrl: '/login',
      userClaims: ({ userId }) => ({ email: `${userId}@example.com` }),
      paths: {
        authorize: '/auth',
        par: '/request',
        userinfo: '/me',
        revoke: '/token/revocation',
        introspect: '/token/introspection',
        logout: '/session/end',
        register: '/reg',
      },
      refreshTokens: {
        import: (refreshToken) => {
          const old = database.get(`RefreshToken:${refreshToken}`);
          if (!old || old.consumed !== undefined || !isLive(old)) return undefined;
          const grant = database.get(`Grant:${old.grantId!}`);
          if (!grant || !isLive(grant) || grant.accountId !== old.accountId) return undefined;
          if (grant.clientId !== old.clientId || old.expiresWithSession === true) return undefined;
          const { openid, resources } = grant as {
            openid?: { scope?: string };
            resources?: Record<string, string>;
          };
          const granted = [openid?.scope, ...Object.values(resources ?? {})].join(' ').split(' ');
          return {
            id: old.jti!,
            clientId: old.clientId!,
            user: { id: old.accountId!, authTime: old.authTime, acr: old.acr, amr: old.amr },
            scope: (old.scope ?? '').split(' ').filter((value) => granted.includes(value)),
            resource: old.resource as string | undefined,
            issuedAt: old.iiat ?? 0,
            confirmation: { jkt: old.jkt, 'x5t#S256': old['x5t#S256'] },
          };
        },
      },
    });
    for (const [key, old] of database) {
      if (!key.startsWith('Client:')) continue;
      const { clientSecret, ...metadata } = fromRfc7591(old);
      await oauth.clients.create({
        ...metadata,
        ...(clientSecret !== undefined && { clientSecret }),
        grantsNotBefore: 0,
      });
    }
    return oauth;
  }

  it('at the same issuer, for clients that notice nothing', async () => {
    const web = await configured('web', client.ClientSecretBasic(SECRET));
    const app = await configured('app', client.None());
    const key = await client.randomDPoPKeyPair('ES256');
    const bound = { DPoP: client.getDPoPHandle(app, key) };
    const [ofWeb, consumed, ended, narrowed, ofApp] = [
      await signIn(web, CALLBACK),
      await signIn(web, CALLBACK),
      await signIn(web, CALLBACK),
      await signIn(web, CALLBACK),
      await signIn(app, 'com.example.app:/callback', bound),
    ];
    const latest = await client.refreshTokenGrant(web, consumed.refresh_token!);
    expect(latest.refresh_token).not.toBe(consumed.refresh_token);

    const dump = (await (await fetch(`${issuer}/database`)).json()) as [string, AdapterPayload][];
    await before.kill();
    const database = new Map(dump);
    // The user has ended the access of one, and a part of that of another.
    const grantOf = (token: string): AdapterPayload =>
      database.get(`Grant:${database.get(`RefreshToken:${token}`)!.grantId!}`)!;
    database.delete(`Grant:${grantOf(ended.refresh_token!).jti!}`);
    Object.assign(grantOf(narrowed.refresh_token!), { openid: { scope: 'openid offline_access' } });
    const oauth = await newHost(database);
    const after = await listen(express().use(oauth), Number(new URL(issuer).port));
    try {
      // The very configuration that was discovered before.
      const [one, other] = await Promise.all(
        [1, 2].map(() => client.refreshTokenGrant(web, ofWeb.refresh_token!)),
      );
      expect(one!.refresh_token).toBe(other!.refresh_token);
      expect(one!.claims()).toMatchObject({
        iss: issuer,
        sub: 'alice',
        auth_time: database.get(`RefreshToken:${ofWeb.refresh_token!}`)!.authTime,
      });
      expect(await client.fetchUserInfo(web, one!.access_token, 'alice')).toMatchObject({
        email: 'alice@example.com',
      });
      const next = await client.refreshTokenGrant(web, one!.refresh_token!);
      await client.refreshTokenGrant(web, next.refresh_token!);
      await client.refreshTokenGrant(web, latest.refresh_token!);
      // What had been replaced before is refused, as it was there.
      await expect(client.refreshTokenGrant(web, consumed.refresh_token!)).rejects.toMatchObject({
        error: 'invalid_grant',
      });
      await expect(client.refreshTokenGrant(web, ended.refresh_token!)).rejects.toMatchObject({
        error: 'invalid_grant',
      });
      expect(await oauth.listGrants('alice')).toHaveLength(2);
      expect((await client.refreshTokenGrant(web, narrowed.refresh_token!)).scope).toBe(
        'openid offline_access',
      );

      // A stolen token is worth nothing without the key that it was bound to.
      const thief = { DPoP: client.getDPoPHandle(app, await client.randomDPoPKeyPair('ES256')) };
      await expect(refreshWithNonce(app, ofApp.refresh_token!, thief)).rejects.toMatchObject({
        error: 'invalid_grant',
      });
      await expect(client.refreshTokenGrant(app, ofApp.refresh_token!)).rejects.toMatchObject({
        error: 'invalid_dpop_proof',
      });
      const renewed = await refreshWithNonce(app, ofApp.refresh_token!, bound);
      expect(renewed.token_type).toBe('dpop');
      await client.tokenRevocation(web, latest.refresh_token!);
      await expect(client.refreshTokenGrant(web, latest.refresh_token!)).rejects.toMatchObject({
        error: 'invalid_grant',
      });
      expect(await client.tokenIntrospection(web, one!.access_token)).toMatchObject({ active: true });
    } finally {
      await after.close();
    }
  });
});

function isLive({ exp }: AdapterPayload): boolean {
  return exp === undefined || exp > Date.now() / 1000;
}

/** A public client needs a nonce of the new server, which its first request brings. */
async function refreshWithNonce(
  config: client.Configuration,
  refreshToken: string,
  options: client.DPoPOptions,
): Promise<client.TokenEndpointResponse> {
  return client.refreshTokenGrant(config, refreshToken, undefined, options).catch((thrown: unknown) => {
    if ((thrown as { error?: string }).error !== 'use_dpop_nonce') throw thrown;
    return client.refreshTokenGrant(config, refreshToken, undefined, options);
  });
}
