import express from 'express';
import * as jose from 'jose';
import * as client from 'openid-client';

import type { ClientOptions } from 'express-oauth-router';

import { CALLBACK, listen, type Host } from '../support/host';
import { clientKey, type ClientKey } from '../support/jose';
import { openidHost } from '../support/openid';

const BYE = 'https://app.example.com/bye';
const SCOPE = 'openid profile email offline_access';
const SECRET = 'a client secret of thirty-two bytes or more';

/** openid-client 6 against a host on each adapter: every feature that it has and we have. */
describe.each([
  { store: 'memory', path: '' },
  { store: 'redis', path: '/auth/oauth' },
] as const)('openid-client on $store under "$path"', ({ store, path }) => {
  let host: Host;
  let issuer: string;
  let origin: string;
  let close: () => Promise<void>;
  let key: ClientKey;

  beforeAll(async () => {
    key = await clientKey('PS256');
    const shell = express();
    ({ origin, close } = await listen(shell));
    issuer = origin + path;
    const base = { redirectUris: [CALLBACK], scope: SCOPE, firstParty: true };
    const jwks = { keys: [key.publicJwk] };
    const clients: ClientOptions[] = [
      { ...base, clientId: 'web', clientSecret: SECRET, postLogoutRedirectUris: [BYE] },
      { ...base, clientId: 'spa' },
      { ...base, clientId: 'signer', jwks, requireSignedRequestObject: true },
      { ...base, clientId: 'hmac', clientSecret: SECRET, tokenEndpointAuthMethod: 'client_secret_jwt' },
      { ...base, clientId: 'fapi', jwks, securityProfile: 'fapi2' },
    ];
    host = openidHost(
      { store, mount: 'root' },
      {
        issuer,
        clients,
        endSession: () => (host.user = undefined),
        protect: (app, router) => {
          app.get('/api', router.requireToken(), (req, res) => void res.json({ of: req.oauth.subject }));
        },
      },
    );
    if (path) shell.use(path, host.oauth);
    shell.use(host.app);
  });
  afterAll(() => close());
  beforeEach(() => {
    // Clients look at the time.
    host.now = Date.now();
    host.user = { id: 'alice', authTime: Math.floor(Date.now() / 1000), sid: 'session' };
  });

  const discover = (
    clientId: string,
    authentication: client.ClientAuth,
    metadata: Partial<client.ClientMetadata> = {},
  ): Promise<client.Configuration> =>
    client.discovery(new URL(issuer), clientId, metadata, authentication, {
      execute: [client.allowInsecureRequests],
    });
  const privateKey = (): client.PrivateKey => ({ key: key.privateKey, kid: key.kid });

  async function browse(url: URL): Promise<URL> {
    const response = await fetch(url, { redirect: 'manual' });
    return new URL(response.headers.get('location') ?? `about:${response.status}`);
  }

  interface Flow {
    parameters: Record<string, string>;
    checks: client.AuthorizationCodeGrantChecks;
  }
  async function flow(more: Record<string, string> = {}): Promise<Flow> {
    const pkceCodeVerifier = client.randomPKCECodeVerifier();
    const expectedState = client.randomState();
    const expectedNonce = client.randomNonce();
    return {
      parameters: {
        redirect_uri: CALLBACK,
        scope: SCOPE,
        state: expectedState,
        nonce: expectedNonce,
        code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
        code_challenge_method: 'S256',
        ...more,
      },
      checks: { pkceCodeVerifier, expectedState, expectedNonce },
    };
  }

  it('discovery by OpenID Connect; code with PKCE and nonce, the ID token validated; userinfo; refresh', async () => {
    const config = await discover('web', client.ClientSecretBasic(SECRET));
    expect(config.serverMetadata().issuer).toBe(issuer);
    const { parameters, checks } = await flow({ max_age: '1000' });
    const answer = await browse(client.buildAuthorizationUrl(config, parameters));
    const tokens = await client.authorizationCodeGrant(config, answer, {
      ...checks,
      maxAge: 1000,
      idTokenExpected: true,
    });
    const { sub } = tokens.claims()!;
    expect(await client.fetchUserInfo(config, tokens.access_token, sub)).toMatchObject({
      sub: 'alice',
      name: 'Alice Adams',
    });
    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token!);
    expect(renewed.claims()).toMatchObject({ sub: 'alice', auth_time: tokens.claims()!.auth_time });
  });

  it('end session', async () => {
    const basic = await discover('web', client.ClientSecretBasic(SECRET));
    const { parameters, checks } = await flow();
    const answer = await browse(client.buildAuthorizationUrl(basic, parameters));
    const tokens = await client.authorizationCodeGrant(basic, answer, checks);
    const url = client.buildEndSessionUrl(basic, {
      id_token_hint: tokens.id_token!,
      post_logout_redirect_uri: BYE,
      state: 'x',
    });
    expect((await browse(url)).href).toBe(`${BYE}?state=x`);
    const silent = await browse(client.buildAuthorizationUrl(basic, { ...parameters, prompt: 'none' }));
    expect(silent.searchParams.get('error')).toBe('login_required');
  });

  it('client_secret_jwt, with introspection and revocation', async () => {
    const config = await discover('hmac', client.ClientSecretJwt(SECRET));
    const { parameters, checks } = await flow();
    const answer = await browse(client.buildAuthorizationUrl(config, parameters));
    const tokens = await client.authorizationCodeGrant(config, answer, checks);
    expect(await client.tokenIntrospection(config, tokens.access_token)).toMatchObject({ active: true });
    await client.tokenRevocation(config, tokens.access_token);
    expect(await client.tokenIntrospection(config, tokens.access_token)).toEqual({ active: false });
  });

  it('private_key_jwt with a signed request object (JAR) and a signed response (JARM)', async () => {
    const config = await discover('signer', client.PrivateKeyJwt(privateKey()));
    client.useJwtResponseMode(config);
    const { parameters, checks } = await flow();
    const url = await client.buildAuthorizationUrlWithJAR(config, parameters, privateKey());
    const answer = await browse(url);
    expect([...answer.searchParams.keys()]).toEqual(['response']);
    const tokens = await client.authorizationCodeGrant(config, answer, checks);
    expect(tokens.claims()).toMatchObject({ sub: 'alice' });
  });

  it('PAR, with a request object and without', async () => {
    const web = await discover('web', client.ClientSecretBasic(SECRET));
    const pushed = await flow();
    const plain = await browse(await client.buildAuthorizationUrlWithPAR(web, pushed.parameters));
    expect(await client.authorizationCodeGrant(web, plain, pushed.checks)).toHaveProperty('id_token');

    const config = await discover('signer', client.PrivateKeyJwt(privateKey()));
    const { parameters, checks } = await flow();
    const signed = await client.buildAuthorizationUrlWithJAR(config, parameters, privateKey());
    const url = await client.buildAuthorizationUrlWithPAR(config, signed.searchParams);
    const answer = await browse(url);
    expect(await client.authorizationCodeGrant(config, answer, checks)).toHaveProperty('id_token');
  });

  it.each([
    ['with nonces of the server', 'spa', client.None()],
    ['without', 'web', client.ClientSecretBasic(SECRET)],
  ])('DPoP %s: code, call, userinfo, refresh', async (_name, clientId, authentication) => {
    const config = await discover(clientId, authentication);
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair());
    const { parameters, checks } = await flow({ dpop_jkt: await DPoP.calculateThumbprint() });
    const answer = await browse(client.buildAuthorizationUrl(config, parameters));
    const tokens = await client.authorizationCodeGrant(config, answer, checks, undefined, { DPoP });
    expect(tokens.token_type).toBe('dpop');
    const call = await client.fetchProtectedResource(
      config,
      tokens.access_token,
      new URL(`${origin}/api`),
      'GET',
      undefined,
      undefined,
      { DPoP },
    );
    expect(await call.json()).toEqual({ of: 'alice' });
    const info = await client.fetchUserInfo(config, tokens.access_token, 'alice', { DPoP });
    expect(info.sub).toBe('alice');
    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token!, undefined, { DPoP });
    expect(jose.decodeJwt(renewed.access_token).cnf).toEqual({ jkt: await DPoP.calculateThumbprint() });
  });

  it('the FAPI 2.0 profile: PAR, private_key_jwt, DPoP', async () => {
    const metadata = { id_token_signed_response_alg: 'ES256', use_mtls_endpoint_aliases: false };
    const config = await discover('fapi', client.PrivateKeyJwt(privateKey()), metadata);
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair());
    const { parameters, checks } = await flow();
    const answer = await browse(await client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP }));
    const tokens = await client.authorizationCodeGrant(config, answer, checks, undefined, { DPoP });
    expect(tokens.claims()).toMatchObject({ sub: 'alice', aud: 'fapi' });
    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token!, undefined, { DPoP });
    expect(renewed.refresh_token).toBe(tokens.refresh_token);
  });

  it('a response of another issuer is refused by the client (mix-up, RFC 9207)', async () => {
    const config = await discover('web', client.ClientSecretBasic(SECRET));
    const { parameters, checks } = await flow();
    const answer = await browse(client.buildAuthorizationUrl(config, parameters));
    for (const iss of ['https://evil.example', undefined]) {
      const other = new URL(answer);
      other.searchParams.delete('iss');
      if (iss) other.searchParams.set('iss', iss);
      await expect(client.authorizationCodeGrant(config, other, checks)).rejects.toThrow();
    }
    expect(await client.authorizationCodeGrant(config, answer, checks)).toHaveProperty('id_token');
  });

  it('an ID token with another nonce is refused by the client', async () => {
    const config = await discover('web', client.ClientSecretBasic(SECRET));
    const { parameters, checks } = await flow();
    const answer = await browse(client.buildAuthorizationUrl(config, { ...parameters, nonce: 'injected' }));
    await expect(client.authorizationCodeGrant(config, answer, checks)).rejects.toThrow(/claim value/);
  });
});
