import express from 'express';
import * as oauth from 'oauth4webapi';

import { createOAuthRouter, oauth2Provider, oidcProvider } from 'express-oauth-router';

import { browser } from '../support/browser';
import { claimsOf, listen } from '../support/host';
import { startProcess, type ServerProcess } from '../support/process';

const CALLBACK = 'https://app.example.com/callback';
const insecure = { [oauth.allowInsecureRequests]: true };

describe('oauth4webapi, through providers in processes of their own', () => {
  let issuer: string;
  let upstreams: ServerProcess[];
  let close: () => Promise<void>;

  beforeAll(async () => {
    const shell = express();
    const server = await listen(shell);
    issuer = server.origin;
    close = server.close;
    upstreams = await Promise.all([
      startProcess('oidc-provider-process.ts', `${issuer}/callback/openid`),
      startProcess('oauth2-server-process.ts'),
    ]);
    const [openid, plain] = upstreams.map(({ origin }) => origin) as [string, string];
    const credentials = { clientId: 'our-server', clientSecret: 'upstream-secret' };
    shell.use(
      createOAuthRouter({
        issuer,
        clients: [{ clientId: 'app', redirectUris: [CALLBACK], scope: 'profile', firstParty: true }],
        federation: {
          providers: {
            openid: oidcProvider({ issuer: openid.replace('127.0.0.1', 'localhost'), ...credentials }),
            plain: oauth2Provider({
              authorizationEndpoint: `${plain}/authorize`,
              tokenEndpoint: `${plain}/token`,
              userinfo: `${plain}/userinfo`,
              claims: { subject: 'id' },
              ...credentials,
            }),
          },
          resolveUser: ({ providerId, subject }) => ({ id: `${providerId}-${subject}` }),
        },

        authenticate: () => undefined,
        loginUrl: '/login',
      }),
    );
  });
  afterAll(async () => {
    await Promise.all(upstreams.map((upstream) => upstream.kill()));
    await close();
  });

  it.each([
    ['openid', 'openid-alice'],
    ['plain', 'plain-4711'],
  ])('%s: discovery, sign-in, code, refresh', async (connection, sub) => {
    const url = new URL(issuer);
    const discovered = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure });
    const server = await oauth.processDiscoveryResponse(url, discovered);
    const client = { client_id: 'app' };
    const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()];
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: 'app',
      redirect_uri: CALLBACK,
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      connection,
    });
    const { visit } = browser(issuer, [CALLBACK]);
    let at = await visit(`${server.authorization_endpoint!}?${query.toString()}`);
    if (connection === 'openid') {
      at = await visit(at.url, { prompt: 'login', login: 'alice', password: 'any' });
      at = await visit(at.url, { prompt: 'consent' });
    }

    const parameters = oauth.validateAuthResponse(server, client, new URL(at.url), state);
    const none = oauth.None();
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      none,
      parameters,
      CALLBACK,
      verifier,
      insecure,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response);
    expect(claimsOf(tokens.access_token)).toMatchObject({ iss: issuer, sub });
    const refreshed = await oauth.processRefreshTokenResponse(
      server,
      client,
      await oauth.refreshTokenGrantRequest(server, client, none, tokens.refresh_token!, insecure),
    );
    expect(claimsOf(refreshed.access_token).sub).toBe(sub);
  });
});
