import { createPublicKey } from 'node:crypto';

import express from 'express';
import Redis from 'ioredis';
import request from 'supertest';

import {
  createOAuthRouter,
  memoryAdapter,
  oauth2Provider,
  OAuthConfigurationError,
  oidcProvider,
  providerPresets,
  redisAdapter,
  type OAuthRouterOptions,
} from 'express-oauth-router';
import { resolveOptions } from '../../lib/options/resolve';
import { keyPair } from '../support/keys';

const SECRET = 'x'.repeat(32);
const ec = keyPair().privateKey;
const rsa = keyPair('RS256').privateKey;
/** The public half of a client's key. */
const jwks = {
  keys: [keyPair().publicKey.export({ format: 'jwk' })],
};
const weak = keyPair('RS256', { modulusLength: 1024 }).privateKey;

const short = createPublicKey(weak).export({ format: 'jwk' });

const development: OAuthRouterOptions = {
  issuer: 'http://localhost:3000',
  authenticate: () => undefined,
  loginUrl: '/login',
};

/** Typed loosely: these are the mistakes of people without a compiler. */
function faultsOf(options: object): readonly string[] {
  try {
    createOAuthRouter(options as OAuthRouterOptions);
  } catch (error) {
    expect(error).toBeInstanceOf(OAuthConfigurationError);
    return (error as OAuthConfigurationError).faults;
  }
  return [];
}

const client = (more: object): object => ({
  ...development,
  clients: [{ clientId: 'a', redirectUris: ['https://a.example/cb'], ...more }],
});

/** An adapter as a class, one of whose functions is misspelled; others are of its own. */
class MisspelledAdapter {
  private readonly functions = memoryAdapter();
  getClient = this.functions.getClient;
  saveGrant = this.functions.saveGrant;
  getGrant = this.functions.getGrant;
  advanceGrant = this.functions.advanceGrant;
  revokeGrant = this.functions.revokeGrant;
  setOnce = this.functions.setOnce;
  put = this.functions.put;
  get = this.functions.get;
  take = this.functions.take;
  saveClients(): void {
    throw new Error('it must not be called');
  }
  sweep(): void {
    throw new Error('it must not be called');
  }
  get connection(): never {
    throw new Error('it must not be called');
  }
}

describe('createOAuthRouter', () => {
  const { NODE_ENV } = process.env;
  let redis: Redis;
  let production: OAuthRouterOptions;
  beforeAll(() => {
    redis = new Redis(process.env.REDIS_URL!);
    production = {
      ...development,
      issuer: 'https://api.example.com/oauth',
      adapter: redisAdapter(redis),
      secrets: [SECRET],
      signingKeys: [ec],
    };
  });
  afterEach(() => {
    process.env.NODE_ENV = NODE_ENV;
  });
  afterAll(() => redis.quit());

  it('options may be instances of classes: what a class defines counts', async () => {
    class Federation {
      providers = { acme: oidcProvider({ issuer: 'http://localhost:1', clientId: 'x', clientSecret: 'y' }) };
      resolveUser(): undefined {
        return undefined;
      }
    }
    class Host {
      issuer = 'http://localhost:3000';
      loginUrl = '/login';
      federation = new Federation();
      authenticate(): undefined {
        return undefined;
      }
      requestGuard(): boolean {
        return false;
      }
    }
    const app = express().use(createOAuthRouter(new Host()));
    expect((await request(app).get('/jwks')).status).toBe(401);
    const { federation } = resolveOptions(new Host());
    expect(federation.resolveUser).toBe(Federation.prototype.resolveUser);
    const inherited = resolveOptions(Object.create(development) as OAuthRouterOptions);
    expect(inherited.loginUrl).toBe('/login');
  });

  it('undefined is the same as left out, at every depth', () => {
    const { pages, lifetimes } = resolveOptions({
      ...development,
      lifetimes: { accessToken: undefined },
      pages: { branding: { colors: { accent: undefined } } },
    });
    expect(pages.branding.colors).toEqual({ accent: '#2457d6', accentText: '#ffffff' });
    expect(lifetimes.accessToken).toBe(3600);
  });

  it('the clock is Date.now as it is at the time: tests may replace it', () => {
    const { clock } = resolveOptions(development);
    const replaced = jest.spyOn(Date, 'now').mockReturnValue(1_000_000_000_000);
    try {
      expect(clock()).toBe(1_000_000_000_000);
    } finally {
      replaced.mockRestore();
    }
  });

  it('a fault does not hide the others, nor cause more', () => {
    const production = { ...development, issuer: 'https://api.example.com/#x' };
    expect(faultsOf(production).map((fault) => fault.split(' ')[0])).toEqual([
      '"issuer"',
      '"adapter"',
      '"secrets"',
      '"signingKeys"',
    ]);
    expect(faultsOf({ ...development, issuer: 'localhost:3000' })).toHaveLength(1);
    const sealed = client({ clientSecret: SECRET, tokenEndpointAuthMethod: 'client_secret_jwt' });
    expect(faultsOf({ ...sealed, secrets: ['weak'] })).toEqual([
      expect.stringMatching(/^"secrets\[0\]" is weak/),
    ]);
    const shared = { alg: 'HS256' as const, key: SECRET };
    expect(faultsOf({ ...development, secrets: [SECRET, 'weak'], signingKeys: [ec, shared] })).toEqual([
      expect.stringMatching(/^"secrets\[1\]" is weak/),
      expect.stringMatching(/contains one of the "secrets"/),
    ]);
  });

  it('starts in development with nothing but the host’s login', () => {
    expect(faultsOf(development)).toEqual([]);
    for (const issuer of ['http://127.0.0.1:3000/x', 'http://[::1]:3000', 'https://localhost/']) {
      expect(faultsOf({ ...development, issuer })).toEqual([]);
    }
  });

  it('starts in production with everything', () => {
    process.env.NODE_ENV = 'production';
    expect(faultsOf(production)).toEqual([]);
  });

  it.each([
    ['an issuer that is not loopback', 'http://api.example.com', 'test'],
    ['NODE_ENV=production', 'http://localhost:3000', 'production'],
  ])('%s: one error names all that is missing', (_name, issuer, nodeEnv) => {
    process.env.NODE_ENV = nodeEnv;
    expect(faultsOf({ ...development, issuer })).toEqual([
      expect.stringMatching(
        /^"issuer" must be https outside development \(a loopback issuer or "allowHttp", and a NODE_ENV other/,
      ) as string,
      expect.stringMatching(/^"adapter" is missing: .* give redisAdapter\(redis\)/) as string,
      expect.stringMatching(/^"secrets" is missing/) as string,
      expect.stringMatching(/^"signingKeys" is missing/) as string,
    ]);
  });

  it('outside development the memory adapter is refused, also in another’s clothes', () => {
    expect(faultsOf({ ...production, adapter: memoryAdapter() })).toEqual([
      expect.stringContaining('memory adapter'),
    ]);
    const mixed = { ...memoryAdapter(), getClient: () => Promise.resolve(undefined) };
    expect(faultsOf({ ...production, adapter: mixed })).toEqual([expect.stringContaining('memory adapter')]);
  });

  it('an environment variable that is not set is an error, in development too', () => {
    expect(faultsOf({ ...development, secrets: [undefined], signingKeys: [undefined] })).toEqual([
      '"secrets[0]" is not set',
      '"signingKeys[0]" is not set',
    ]);
  });

  it.each<[string, object, RegExp]>([
    [
      'an option with a typo',
      { ...development, acessTokenLifetime: 1 },
      /"acessTokenLifetime" is not allowed: did you mean "lifetimes.accessToken"\?/,
    ],
    [
      'an option of a group, without the group',
      { ...development, leeway: 1 },
      /did you mean "refreshTokens.leeway"\?/,
    ],
    [
      'a typo within a group',
      { ...development, refreshTokens: { idleLifetimes: 1 } },
      /"refreshTokens.idleLifetimes" is not allowed: did you mean "refreshTokens.idleLifetime"\?/,
    ],
    ['a name that resembles nothing', { ...development, fortyTwo: 1 }, /^"fortyTwo" is not allowed$/],
    ['no issuer', { ...development, issuer: undefined }, /issuer.* required/],
    ['an issuer that is no URL', { ...development, issuer: 'localhost' }, /issuer.* URL/],
    ['an issuer with a query', { ...development, issuer: 'http://localhost?x' }, /no query/],
    ['an issuer with a fragment', { ...development, issuer: 'http://localhost#x' }, /no fragment/],
    [
      'an issuer that a parser writes in another way',
      { ...development, issuer: 'http://LOCALHOST:80/a/../b' },
      /written as http:\/\/localhost\/b/,
    ],
    ['no authenticate', { ...development, authenticate: undefined }, /authenticate.* required/],
    ['no loginUrl', { ...development, loginUrl: undefined }, /loginUrl.* required/],
    ['a loginUrl on another host by accident', { ...development, loginUrl: '//evil.example' }, /loginUrl/],
    ['a loginUrl that runs script', { ...development, loginUrl: 'javascript:alert(1)' }, /loginUrl/],
    [
      'a lifetime of a string',
      { ...development, lifetimes: { accessToken: '1h' } },
      /^"lifetimes.accessToken" must be seconds, as a number/,
    ],
    [
      'a lifetime of nothing',
      { ...development, lifetimes: { accessToken: 0 } },
      /lifetimes.accessToken.* between 1 and/,
    ],
    [
      'half a second',
      { ...development, lifetimes: { accessToken: 0.5 } },
      /lifetimes.accessToken.* whole number/,
    ],
    [
      'a lifetime without end',
      { ...development, refreshTokens: { absoluteLifetime: Infinity } },
      /refreshTokens.absoluteLifetime/,
    ],
    ['a weak secret', { ...development, secrets: ['x'.repeat(31)] }, /secrets\[0\].* 32 bytes/],
    ['no secret', { ...development, secrets: [] }, /secrets.* missing/],
    ['a short RSA key', { ...development, signingKeys: [{ key: weak, alg: 'RS256' }] }, /2048 to 8192 bits/],
    ['an RSA key without alg', { ...development, signingKeys: [rsa] }, /without alg/],
    [
      'an RSA key in PEM without alg',
      { ...development, signingKeys: [rsa.export({ type: 'pkcs8', format: 'pem' })] },
      /without alg/,
    ],
    ['a JWK without alg', { ...development, signingKeys: [ec.export({ format: 'jwk' })] }, /without alg/],
    [
      'a key for another algorithm',
      { ...development, signingKeys: [{ key: ec, alg: 'RS256' }] },
      /cannot sign/,
    ],
    ['a symmetric algorithm', { ...development, signingKeys: [{ key: ec, alg: 'HS256' }] }, /HS256/],
    ['a public key', { ...development, signingKeys: [keyPair().publicKey] }, /private key/],
    ['a key that is none', { ...development, signingKeys: ['secret key material'] }, /not a private key/],
    [
      'two keys with one kid',
      {
        ...development,
        signingKeys: [
          { key: ec, kid: 'a' },
          { key: rsa, alg: 'RS256', kid: 'a' },
        ],
      },
      /same kid/,
    ],
    [
      'an adapter that lacks functions',
      { ...development, adapter: { getClient: () => undefined } },
      /lacks saveGrant, getGrant, advanceGrant/,
    ],
    [
      'half a consent store',
      { ...development, adapter: { ...memoryAdapter(), getConsent: undefined } },
      /lacks getConsent: remembering consent needs/,
    ],
    [
      'a consent that could not be forgotten',
      { ...development, adapter: { ...memoryAdapter(), deleteConsent: undefined } },
      /lacks deleteConsent: remembering consent needs/,
    ],
    [
      'a misspelled function of the adapter',
      { ...development, adapter: { ...memoryAdapter(), listGrants: undefined, listGrant: () => [] } },
      /"adapter" has listGrant\(\): did you mean listGrants\?/,
    ],
    [
      'a misspelled function of a class of the host',
      { ...development, adapter: new MisspelledAdapter() },
      /"adapter" has saveClients\(\): did you mean saveClient\?/,
    ],
    [
      'a code that lives for a day',
      { ...development, lifetimes: { authorizationCode: 86_400 } },
      /"lifetimes.authorizationCode" must be between 1 and 600 seconds/,
    ],
    [
      'an unknown audience of assertions',
      { ...development, clientAssertionAudience: 'any' },
      /clientAssertionAudience/,
    ],
    [
      'an unknown color',
      { ...development, pages: { branding: { colors: { accent: 'red;} body{}' } } } },
      /accent/,
    ],
    [
      'a built-in grant of the host’s own',
      { ...development, grants: { refresh_token: () => undefined } },
      /refresh_token/,
    ],
    [
      'a resource with a fragment',
      { ...development, resources: ['https://a.example/#x'] },
      /resources.* must not have a fragment/,
    ],
    ['a resource that is nothing', { ...development, resources: [null] }, /resources/],
    [
      'a resource twice',
      { ...development, resources: ['https://a.example', { identifier: 'https://a.example' }] },
      /twice/,
    ],
    [
      'a resource with a typo',
      { ...development, resources: [{ identifier: 'https://a.example', scope: 'x' }] },
      /scope/,
    ],
    [
      'a resource with an algorithm that no key has',
      {
        ...development,
        signingKeys: [ec],
        resources: [{ identifier: 'https://a.example', signingAlgorithm: 'RS256' }],
      },
      /resources\[0\].signingAlgorithm.* no signing key/,
    ],
    ['a nonce policy that is none', { ...development, dpop: { nonce: 'sometimes' } }, /dpop.nonce/],
    ['a short pairwise secret', { ...development, pairwiseSecret: 'short' }, /pairwiseSecret.* 32 bytes/],
    [
      'an assertion method without keys',
      client({ tokenEndpointAuthMethod: 'private_key_jwt' }),
      /needs jwks or jwksUri/,
    ],
    ['keys that are not set', client({ jwksUri: undefined }), /"jwksUri" is not set/],
    [
      'a secret that is too short for HMAC',
      client({ tokenEndpointAuthMethod: 'client_secret_jwt', clientSecret: 'x' }),
      /32 bytes/,
    ],
    [
      'a secret with keys',
      client({ clientSecret: 'x', tokenEndpointAuthMethod: 'private_key_jwt', jwks }),
      /has a secret, but/,
    ],
    ['both jwks and jwksUri', client({ jwks, jwksUri: 'https://a.example/jwks' }), /both jwks and jwksUri/],
    [
      'a private key among the public ones',
      client({ jwks: { keys: [ec.export({ format: 'jwk' })] } }),
      /must be a public key/,
    ],
    [
      'no key at all',
      client({ tokenEndpointAuthMethod: 'private_key_jwt', jwks: { keys: [] } }),
      /no keys in jwks/,
    ],
    ['a client’s key that is too short', client({ jwks: { keys: [short] } }), /must be a public key/],
    [
      'an algorithm that its keys have not',
      client({ jwks, tokenEndpointAuthSigningAlg: 'PS256' }),
      /cannot sign with PS256/,
    ],
    ['an HMAC with keys', client({ jwks, tokenEndpointAuthSigningAlg: 'HS256' }), /cannot sign with HS256/],
    [
      'a signing key that is not set',
      { ...development, signingKeys: [{ key: undefined, alg: 'RS256' }] },
      /is not set/,
    ],
    ['a jwksUri that is no URL', client({ jwksUri: 'jwks' }), /jwksUri/],
    ['a method that is none', client({ tokenEndpointAuthMethod: 5 }), /tokenEndpointAuthMethod/],
    [
      'a certificate’s client without certificates',
      client({ tlsClientAuthSanDns: 'a.example' }),
      /"clientCertificate"/,
    ],
    [
      'a certificate’s client that is named twice',
      {
        ...client({ tlsClientAuthSanDns: 'a.example', tlsClientAuthSanUri: 'https://a' }),
        clientCertificate: () => undefined,
      },
      /needs one of tlsClientAuth/,
    ],
    [
      'bound tokens without certificates',
      client({ tlsClientCertificateBoundAccessTokens: true }),
      /"clientCertificate"/,
    ],
    [
      'an ID token’s algorithm that no key has',
      { ...client({ idTokenSignedResponseAlg: 'PS256' }), signingKeys: [ec] },
      /no signing key/,
    ],
    ['an unsigned ID token', client({ idTokenSignedResponseAlg: 'none' }), /idTokenSignedResponseAlg/],
    ['a pairwise client without the secret', client({ subjectType: 'pairwise' }), /"pairwiseSecret"/],
    [
      'a pairwise client of two hosts',
      client({ subjectType: 'pairwise', redirectUris: ['https://a.example', 'https://b.example'] }),
      /sectorIdentifierUri/,
    ],
    ['a public client of FAPI', client({ securityProfile: 'fapi2' }), /must authenticate with one of/],
    [
      'a FAPI client without PKCE',
      client({ securityProfile: 'fapi2', jwks, requirePkce: false }),
      /must use PKCE/,
    ],
    [
      'a FAPI client that rotates',
      client({ securityProfile: 'fapi2', jwks, refreshTokenRotation: 'always' }),
      /must not rotate/,
    ],
    [
      'a FAPI client with RS256',
      client({ securityProfile: 'fapi2', jwks, requestObjectSigningAlg: 'RS256' }),
      /under fapi2/,
    ],
    [
      'a FAPI client without bound tokens',
      client({ securityProfile: 'fapi2', jwks, dpopBoundAccessTokens: false }),
      /must have tokens bound/,
    ],
    [
      'a FAPI client, and no key for it',
      { ...client({ securityProfile: 'fapi2', jwks }), signingKeys: [{ key: rsa, alg: 'RS256' }] },
      /signing key for PS256 or ES256/,
    ],
    [
      'back-channel logout without listGrants',
      {
        ...client({ backchannelLogoutUri: 'https://a.example/out' }),
        adapter: { ...memoryAdapter(), listGrants: undefined },
      },
      /needs listGrants/,
    ],
    [
      'back-channel logout with an adapter that is none',
      { ...client({ backchannelLogoutUri: 'https://a.example/out' }), adapter: null },
      /"adapter" must be an object of functions/,
    ],
    [
      'a logout URI with a fragment',
      client({ backchannelLogoutUri: 'https://a.example/out#x' }),
      /backchannelLogoutUri.* must not have a fragment/,
    ],
    [
      'a public client that keeps its refresh token',
      client({ refreshTokenRotation: 'never' }),
      /must rotate/,
    ],
    [
      'a client that must sign, without keys',
      client({ requireSignedRequestObject: true }),
      /for its signed request objects/,
    ],
    ['a client without id', client({ clientId: undefined }), /clientId.* required/],
    [
      'a client with a typo',
      client({ redirectURIs: [] }),
      /redirectURIs.* not allowed: did you mean "redirectUris"\?/,
    ],
    [
      'a client in the words of the wire',
      client({ client_id: 'a' }),
      /"client_id" is not allowed: did you mean "clientId"\?/,
    ],
    [
      'a client twice',
      {
        ...development,
        clients: [
          { clientId: 'a', redirectUris: ['https://a.example'] },
          { clientId: 'a', redirectUris: ['https://a.example'] },
        ],
      },
      /twice/,
    ],
    ['a client without redirect URIs', client({ redirectUris: undefined }), /needs redirectUris/],
    ['a relative redirect URI', client({ redirectUris: ['/cb'] }), /absolute/],
    ['a redirect URI with a fragment', client({ redirectUris: ['https://a.example/#x'] }), /fragment/],
    [
      'a redirect URI with a response in it',
      client({ redirectUris: ['https://a.example/?response=x'] }),
      /response in its query/,
    ],
    ['a redirect URI that runs script', client({ redirectUris: ['javascript:alert(1)'] }), /javascript/],
    ['a redirect URI with a wildcard', client({ redirectUris: ['https://*.example/cb'] }), /wildcard/],
    ['a redirect URI with a user', client({ redirectUris: ['https://a@b.example/cb'] }), /user information/],
    ['a client’s scope that is none', client({ scope: 'a  b' }), /scope/],
    [
      'a grant type that is not switched on',
      client({ grantTypes: ['authorization_code', 'urn:x:y'] }),
      /urn:x:y.* not switched on/,
    ],
    ['the password grant', client({ grantTypes: ['password'] }), /grantTypes/],
    ['a public client without PKCE', client({ requirePkce: false }), /PKCE/],
    ['a public client that never rotates', client({ refreshTokenRotation: 'never' }), /rotate/],
    [
      'a public client with client_credentials',
      client({ grantTypes: ['client_credentials'] }),
      /client_credentials/,
    ],
    [
      'a method without a secret',
      client({ tokenEndpointAuthMethod: 'client_secret_basic' }),
      /needs a secret/,
    ],
    [
      'a secret without a method',
      client({ tokenEndpointAuthMethod: 'none', clientSecret: 'x' }),
      /has a secret/,
    ],
    ['an empty secret', client({ clientSecret: '' }), /clientSecret/],
    [
      'a secret whose variable is not set',
      client({ clientSecret: undefined }),
      /clients\[0\].*clientSecret.* not set/,
    ],
    [
      'one of two secrets that is not set',
      client({ clientSecret: ['a', undefined] }),
      /clientSecret.* not set/,
    ],
    ['a hash whose variable is not set', client({ clientSecretHash: undefined }), /not set/],
    [
      'a redirect URI with a wildcard in its path',
      client({ redirectUris: ['https://a.example/*'] }),
      /wildcard/,
    ],
    [
      'a redirect URI with the answer in it',
      client({ redirectUris: ['https://a.example/cb?state=1'] }),
      /state/,
    ],
    ['a redirect URI of an app of the system', client({ redirectUris: ['intent://x/'] }), /intent/],
    ['a logo that is not https', client({ logoUri: 'http://a.example/logo.png' }), /logoUri/],
    ['a loginUrl that no header takes', { ...development, loginUrl: '/ログイン' }, /loginUrl/],
    ['a loginUrl with a tab', { ...development, loginUrl: '/\t/evil.example' }, /loginUrl/],
    [
      'an issuer with an empty part in its path',
      { ...development, issuer: 'http://localhost//evil.example' },
      /empty part/,
    ],
    ['a kid that is a number', { ...development, signingKeys: [{ key: ec, kid: 5 }] }, /kid/],
    ['grantsNotBefore in milliseconds', client({ grantsNotBefore: Date.now() }), /grantsNotBefore/],
  ])('%s is an error', (_name, options, message) => {
    expect(faultsOf(options)).toEqual(expect.arrayContaining([expect.stringMatching(message)]));
  });

  it('an option that is misspelled or wrong is not also called missing', () => {
    const { issuer, ...rest } = development;
    expect(faultsOf({ ...rest, isuer: issuer })).toEqual(['"isuer" is not allowed: did you mean "issuer"?']);
    expect(
      faultsOf({ ...development, clients: [{ client_id: 'a', redirectUris: ['https://a.example'] }] }),
    ).toEqual(['clients[0]: "client_id" is not allowed: did you mean "clientId"?']);
    const wrong = { adapter: 'redis', secrets: 'x', signingKeys: 7 };
    expect(faultsOf({ ...production, ...wrong })).toEqual([
      '"adapter" must be an object of functions',
      '"secrets" must be an array',
      '"signingKeys" must be an array',
    ]);
  });

  it.each([
    undefined,
    null,
    7,
    {},
    { clients: [null] },
    { clients: 'x' },
    { adapter: null },
    { secrets: 'x' },
  ])('nonsense (%j) is an error that can be read', (options) => {
    expect(faultsOf(options as object).length).toBeGreaterThan(0);
  });

  describe('providers', () => {
    const google = { ...providerPresets.google, clientId: 'x', clientSecret: 'y' };
    const github = { ...providerPresets.github, clientId: 'x', clientSecret: 'y' };
    const federation = (providers: unknown): object => ({
      federation: { providers, resolveUser: () => undefined },
    });
    const withProvider = (provider: unknown, more: object = {}): readonly string[] =>
      faultsOf({ ...development, ...federation({ p: provider }), ...more });

    it.each(Object.entries(providerPresets))(
      'the preset %s needs an id and a secret, and no more',
      (_name, preset) => {
        const options = { ...preset, clientId: 'x', clientSecret: 'y' } as never;
        const provider = 'authorizationEndpoint' in preset ? oauth2Provider(options) : oidcProvider(options);
        expect(faultsOf({ ...production, ...federation({ p: provider }) })).toEqual([]);
      },
    );

    it.each<[string, unknown, RegExp]>([
      [
        'a secret that is not set',
        oidcProvider({ ...google, clientSecret: undefined }),
        /providers.p.clientSecret" is not set/,
      ],
      [
        'an empty secret',
        oidcProvider({ ...google, clientSecret: '' }),
        /providers.p.clientSecret" is not set/,
      ],
      [
        'an id that is not set',
        oidcProvider({ ...google, clientId: undefined as never }),
        /providers.p.clientId" is not set/,
      ],
      [
        'an issuer that is not set',
        oauth2Provider({ ...github, issuer: undefined }),
        /providers.p.issuer" is not set/,
      ],
      ['no issuer', oidcProvider({ clientId: 'x' } as never), /"issuer" is required/],
      ['no endpoints', oauth2Provider({ clientId: 'x' } as never), /"authorizationEndpoint" is required/],
      ['a typo', oidcProvider({ ...google, scopes: 'openid' } as never), /"scopes" is not allowed/],
      ['a scope without openid', oidcProvider({ ...google, scope: 'email' }), /openid/],
      [
        'an algorithm that cannot be verified',
        oidcProvider({ ...google, idTokenSignedResponseAlg: 'HS256' }),
        /idTokenSignedResponseAlg/,
      ],
      [
        'a parameter that is this server’s',
        oidcProvider({ ...google, authorizationParameters: { state: 'x' } }),
        /"authorizationParameters.state" is not allowed/,
      ],
      [
        'a method without a secret',
        oidcProvider({
          ...providerPresets.google,
          clientId: 'x',
          tokenEndpointAuthMethod: 'client_secret_basic',
        }),
        /clientSecret" is missing/,
      ],
      ['an object of somebody’s', google, /must come from oidcProvider\(\) or oauth2Provider\(\)/],
      ['nothing', undefined, /must come from/],
      [
        'a prompt that shows nothing',
        oidcProvider({ ...google, authorizationParameters: { prompt: 'none' } }),
        /prompt/,
      ],
    ])('%s', (_what, provider, fault) => {
      expect(withProvider(provider).join('\n')).toMatch(fault);
    });

    it('need a resolveUser, ids for paths, https, and an object around them', () => {
      const provider = oidcProvider(google);
      expect(faultsOf({ ...development, federation: { providers: { p: provider } } })).toEqual([
        '"federation.providers" needs "federation.resolveUser"',
      ]);
      expect(faultsOf({ ...development, ...federation({ 'a/b': provider }) })[0]).toMatch(/the id a\/b/);
      const http = oidcProvider({ ...google, issuer: 'http://provider.example' });
      expect(withProvider(http)).toEqual([]);
      expect(withProvider(http, production).join()).toMatch(/"issuer" must be a valid uri/);
      expect(faultsOf({ ...development, ...federation(null) }).join()).toMatch(
        /"federation.providers" must be of type object/,
      );
      expect(faultsOf({ ...development, ...federation(new Map([['p', provider]])) })).toEqual([
        '"federation.providers" must be an object of providers',
      ]);
    });

    it('a key that stands for no key belongs to no client', () => {
      expect(faultsOf(client({ publishableKeys: [''] })).join()).not.toMatch(/stands for no key/);
      const clientHeaders = { placeholderKey: 'none' };
      const faults = faultsOf({ ...client({ publishableKeys: ['none'] }), clientHeaders });
      expect(faults.join()).toMatch(/stands for no key/);
    });

    it('headers of clients are not those that mean something else', () => {
      expect(faultsOf({ ...development, clientHeaders: { id: 'Authorization' } })[0]).toMatch(
        /must not be Authorization, Cookie or DPoP/,
      );
      expect(faultsOf({ ...development, clientHeaders: { id: 'x y' } })[0]).toMatch(/header name/);
    });
  });

  it('an http redirect URI is for loopback, or for development', () => {
    const http = [{ clientId: 'a', redirectUris: ['http://a.example/cb'] }];
    expect(faultsOf({ ...development, clients: http })).toEqual([]);
    expect(faultsOf({ ...production, clients: http })).toEqual([expect.stringContaining('loopback')]);
    expect(
      faultsOf({
        ...production,
        clients: [{ clientId: 'a', redirectUris: ['http://127.0.0.1/cb', 'com.example:/cb'] }],
      }),
    ).toEqual([]);
  });

  it('no fault repeats a secret or a key', () => {
    const faults = faultsOf({
      ...development,
      secrets: ['a short secret'],
      signingKeys: ['-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----'],
      clients: [{ clientId: 'a', clientSecret: 'client secret', redirectUris: ['x'] }],
    });
    expect(faults.length).toBeGreaterThan(2);
    expect(faults.join()).not.toMatch(/a short secret|c2VjcmV0|client secret/);
  });

  it.each([
    ['PEM', ec.export({ type: 'pkcs8', format: 'pem' })],
    ['PEM on one line', String(ec.export({ type: 'pkcs8', format: 'pem' })).replaceAll('\n', '\\n')],
    ['SEC 1', ec.export({ type: 'sec1', format: 'pem' })],
    ['a JWK', { ...ec.export({ format: 'jwk' }), alg: 'ES256' }],
    ['a JWK as JSON', JSON.stringify({ ...ec.export({ format: 'jwk' }), alg: 'ES256' })],
    ['a KeyObject', ec],
    ['an RSA key with its algorithm', { key: rsa, alg: 'PS256' }],
    [
      'an RSA key in PEM with its algorithm',
      { key: rsa.export({ type: 'pkcs1', format: 'pem' }), alg: 'RS256' },
    ],
  ])('takes a key as %s', (_name, key) => {
    expect(faultsOf({ ...development, signingKeys: [key] })).toEqual([]);
  });

  it('does not compile with a wrong option', () => {
    const compile = (): void => {
      // @ts-expect-error -- an option with a typo
      createOAuthRouter({ ...development, acessTokenLifetime: 1 });
      // @ts-expect-error -- a user without an id
      createOAuthRouter({ ...development, authenticate: () => ({ name: 'alice' }) });
      // @ts-expect-error -- a lifetime of a string
      createOAuthRouter({ ...development, lifetimes: { accessToken: '1h' } });
      // @ts-expect-error -- no login
      createOAuthRouter({ issuer: 'http://localhost' });
    };
    expect(compile).toThrow(OAuthConfigurationError);
  });
});
