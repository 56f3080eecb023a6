import express from 'express';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { AuthorizationCode, ClientCredentials } from 'simple-oauth2';

import { CLIENTS, listen, makeHost, pkce, type Host, type HostOptions } from '../support/host';

/** Clients that others wrote, against a host on each adapter. */
describe.each([
  { store: 'memory', path: '' },
  { store: 'redis', path: '/auth/oauth' },
] as const)('on $store under "$path"', ({ store, path }) => {
  let host: Host;
  let issuer: string;
  let origin: string;
  let close: () => Promise<void>;

  beforeAll(async () => {
    const shell = express();
    ({ origin, close } = await listen(shell));
    issuer = origin + path;
    const protect: HostOptions['protect'] = (app, router) => {
      app.get(
        '/orders',
        router.requireToken({ scope: 'orders:read' }),
        (req, res) => void res.json({ of: req.oauth.subject }),
      );
    };
    // The router is mounted by its issuer's path.
    host = makeHost({ store, mount: 'root' }, { issuer, protect, clients: [...Object.values(CLIENTS)] });
    if (path) shell.use(path, host.oauth);
    shell.use(host.app);
  });
  afterAll(() => close());

  /** What the browser does: the user is signed in, and the client is the host's own. */
  async function browse(url: URL): Promise<URL> {
    const response = await fetch(url, { redirect: 'manual' });
    return new URL(response.headers.get('location')!);
  }

  it('openid-client: discovery, code with PKCE, a call, refresh, introspection, revocation', async () => {
    const redirectUri = CLIENTS.web.redirectUris[0]!;
    const config = await client.discovery(
      new URL(issuer),
      'web',
      undefined,
      client.ClientSecretBasic('web-secret'),
      {
        algorithm: 'oauth2',
        execute: [client.allowInsecureRequests],
      },
    );
    expect(config.serverMetadata().issuer).toBe(issuer);
    const verifier = client.randomPKCECodeVerifier();
    const state = client.randomState();
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: 'profile orders:read',
      state,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const tokens = await client.authorizationCodeGrant(config, await browse(url), {
      pkceCodeVerifier: verifier,
      expectedState: state,
    });
    expect(tokens).toMatchObject({ token_type: 'bearer', scope: 'profile orders:read', expires_in: 3600 });

    const call = await client.fetchProtectedResource(
      config,
      tokens.access_token,
      new URL(`${origin}/orders`),
      'GET',
    );
    expect(await call.json()).toEqual({ of: 'alice' });

    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token!);
    expect(renewed.refresh_token).not.toBe(tokens.refresh_token);
    expect(await client.tokenIntrospection(config, renewed.access_token)).toMatchObject({
      active: true,
      sub: 'alice',
      client_id: 'web',
    });
    await client.tokenRevocation(config, renewed.refresh_token!);
    expect(await client.tokenIntrospection(config, renewed.access_token)).toEqual({ active: false });
    await expect(client.refreshTokenGrant(config, renewed.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
      status: 400,
    });
  });

  it('openid-client: client credentials', async () => {
    const config = await client.discovery(
      new URL(issuer),
      'machine',
      undefined,
      client.ClientSecretBasic('machine-secret'),
      {
        algorithm: 'oauth2',
        execute: [client.allowInsecureRequests],
      },
    );
    const tokens = await client.clientCredentialsGrant(config, { scope: 'jobs:run' });
    expect(tokens).toMatchObject({ token_type: 'bearer', scope: 'jobs:run' });
    const scopeless = await client.discovery(
      new URL(issuer),
      'api',
      undefined,
      client.ClientSecretBasic('api-secret'),
      {
        algorithm: 'oauth2',
        execute: [client.allowInsecureRequests],
      },
    );
    expect(await client.clientCredentialsGrant(scopeless)).toMatchObject({ scope: '' });
  });

  it('oauth4webapi: a public client, errors, and an access token validated by its keys (RFC 9068)', async () => {
    const insecure = { [oauth.allowInsecureRequests]: true };
    const server = await oauth.processDiscoveryResponse(
      new URL(issuer),
      await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...insecure }),
    );
    const spa: oauth.Client = { client_id: 'spa' };
    const { verifier, challenge } = pkce();
    const url = new URL(server.authorization_endpoint!);
    url.search = new URLSearchParams({
      client_id: 'spa',
      response_type: 'code',
      state: 'x',
      code_challenge: challenge,
      code_challenge_method: 'S256',
      redirect_uri: CLIENTS.spa.redirectUris[0]!,
    }).toString();
    const parameters = oauth.validateAuthResponse(server, spa, await browse(url), 'x');
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      spa,
      oauth.None(),
      parameters,
      CLIENTS.spa.redirectUris[0]!,
      verifier,
      insecure,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, spa, response);
    const call = new Request(`${origin}/orders`, {
      headers: { Authorization: `Bearer ${tokens.access_token}` },
    });
    const claims = await oauth.validateJwtAccessToken(server, call, issuer, insecure);
    expect(claims).toMatchObject({ sub: 'alice', client_id: 'spa', scope: 'profile orders:read' });

    url.searchParams.set('scope', 'admin');
    const refused = await browse(url);
    expect(() => oauth.validateAuthResponse(server, spa, refused, 'x')).toThrow(
      expect.objectContaining({ error: 'invalid_scope' }) as Error,
    );
    const again = await oauth.authorizationCodeGrantRequest(
      server,
      spa,
      oauth.None(),
      parameters,
      CLIENTS.spa.redirectUris[0]!,
      verifier,
      insecure,
    );
    await expect(oauth.processAuthorizationCodeResponse(server, spa, again)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
  });

  it('simple-oauth2: code, refresh, revocation, client credentials', async () => {
    const auth = {
      tokenHost: origin,
      tokenPath: `${path}/token`,
      authorizePath: `${path}/authorize`,
      revokePath: `${path}/revoke`,
    };
    const { verifier, challenge } = pkce();
    const config = { client: { id: 'web', secret: 'web-secret' }, auth };
    const code = new AuthorizationCode(config);
    const redirectUri = CLIENTS.web.redirectUris[0]!;
    const url = code.authorizeURL({
      redirect_uri: redirectUri,
      scope: 'profile',
      state: 'x',
      ...({ code_challenge: challenge, code_challenge_method: 'S256' } as object),
    });
    const answer = await browse(new URL(url));
    const parameters = {
      code: answer.searchParams.get('code')!,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    };
    const token = await code.getToken(parameters);
    expect(token.token).toMatchObject({ token_type: 'Bearer', scope: 'profile' });
    const renewed = await token.refresh();
    expect(renewed.token.refresh_token).not.toBe(token.token.refresh_token);
    await renewed.revoke('refresh_token');
    await expect(renewed.refresh()).rejects.toThrow(/400/);

    const machine = new ClientCredentials({
      client: { id: 'machine', secret: 'machine-secret' },
      auth: { tokenHost: origin, tokenPath: auth.tokenPath },
    });
    expect((await machine.getToken({ scope: 'jobs:read' })).token).toMatchObject({ scope: 'jobs:read' });
  });
});
