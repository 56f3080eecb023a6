import { createHash, randomBytes } from 'node:crypto';

import type * as OpenidClient from 'openid-client';
import type { ClientAuth, Configuration, TokenEndpointResponse } from 'openid-client';

import { isPlainObject } from '../hooks';
import { boundedFetch } from '../http/bounded-fetch';
import { providerFailure } from './failure';
import { identityOf, verifiedEmail, type ProviderIdentity } from './identity';
import type { Provider } from './provider';

/** What this server asks a provider for. */
export interface UpstreamRequest {
  readonly state: string;
  /** Added to the provider's own scope. */
  readonly extraScope: readonly string[];
  readonly prompt: readonly string[];
  readonly maxAge: number | undefined;
  readonly loginHint: string | undefined;
  readonly uiLocales: string | undefined;
}

/** What must be kept until the provider answers. */
export interface UpstreamChecks {
  readonly codeVerifier: string;
  readonly nonce: string;
}

/** Tokens of a provider. */
export interface UpstreamTokens {
  readonly accessToken: string;
  readonly tokenType: string;
  readonly scope: string | undefined;
  readonly refreshToken: string | undefined;
  /** Epoch milliseconds; `undefined` if the provider does not say. */
  readonly expiresAt: number | undefined;
}

/** One provider, as this server is its client. Whatever goes wrong there is an `OAuthError` that the client may see. */
export interface Upstream {
  readonly provider: Provider;
  /** Seconds. */
  readonly timeout: number;
  /** Where to send the browser. */
  authorizationUrl(request: UpstreamRequest): Promise<{ url: string; checks: UpstreamChecks }>;
  /** Who has come back, by what the browser brought along. */
  identify(
    answer: UpstreamAnswer,
    checks: UpstreamChecks,
  ): Promise<{ identity: ProviderIdentity; tokens: UpstreamTokens }>;
  refresh(refreshToken: string): Promise<UpstreamTokens>;
}

/** The parameters of the callback (RFC 6749 §4.1.2, RFC 9207 §2). */
export interface UpstreamAnswer {
  readonly state: string;
  readonly code: string | undefined;
  readonly iss: string | undefined;
  readonly error: string | undefined;
  readonly error_description: string | undefined;
  /** Apple's. */
  readonly user: string | undefined;
}

/** ES modules only: a CommonJS host without providers never loads it. */
const openidClient = (): Promise<typeof OpenidClient> => import('openid-client');

/** How long what a provider publishes of itself is kept. Milliseconds. */
const METADATA_LIFETIME = 3_600_000;
const DEFAULT_TIMEOUT = 10;
/** Of the values of `prompt`, what is about the sign-in. */
const SIGN_IN_PROMPTS = ['login', 'select_account'];

export function upstream(
  providerId: string,
  provider: Provider,
  options: { redirectUri: string; allowHttp: boolean; clock: () => number },
): Upstream {
  const { redirectUri, allowHttp, clock } = options;
  const { timeout = DEFAULT_TIMEOUT, pkce = true, authorizationParameters = {} } = provider;
  const configuration = kept(configure, clock);
  /** As it was sent: the provider may quote it. */
  let lastSecret: string | undefined;

  async function configure(): Promise<Configuration> {
    const client = await openidClient();
    const { clientId } = provider;
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that it stands out: for development alone
    const extensions: ((config: Configuration) => void)[] = allowHttp ? [client.allowInsecureRequests] : [];
    if (provider.protocol === 'oauth2') {
      const { authorizationEndpoint, tokenEndpoint } = provider;
      const metadata = {
        issuer: provider.issuer ?? new URL(authorizationEndpoint).origin,
        authorization_endpoint: authorizationEndpoint,
        token_endpoint: tokenEndpoint,
      };
      const plain = new client.Configuration(metadata, clientId, {}, clientAuthentication(client));
      plain[client.customFetch] = plainFetch;
      plain.timeout = timeout;
      extensions.forEach((extend) => extend(plain));
      return plain;
    }
    const { issuer, idTokenSignedResponseAlg: alg } = provider;
    const metadata = alg === undefined ? {} : { id_token_signed_response_alg: alg };
    return client.discovery(new URL(issuer), clientId, metadata, clientAuthentication(client), {
      [client.customFetch]: boundedFetch,
      timeout,
      execute: [...extensions, client.enableNonRepudiationChecks],
    });
  }

  /** The secret may be another one each time. */
  function clientAuthentication(client: typeof OpenidClient): ClientAuth {
    const { clientSecret, tokenEndpointAuthMethod: method = 'client_secret_post' } = provider;
    if (clientSecret === undefined || method === 'none') return client.None();
    const by = method === 'client_secret_basic' ? client.ClientSecretBasic : client.ClientSecretPost;
    const authenticate = async (...request: Parameters<ClientAuth>): Promise<void> => {
      lastSecret = typeof clientSecret === 'string' ? clientSecret : await clientSecret();
      by(lastSecret)(...request);
    };
    // eslint-disable-next-line @typescript-eslint/no-misused-promises -- it is waited for, as are those that sign
    return authenticate;
  }

  async function authorizationUrl(
    request: UpstreamRequest,
  ): Promise<{ url: string; checks: UpstreamChecks }> {
    const { buildAuthorizationUrl } = await openidClient();
    const checks = { codeVerifier: random(), nonce: random() };
    const url = buildAuthorizationUrl(await configuration(), {
      ...authorizationParameters,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: scopeOf(request.extraScope),
      state: request.state,
      ...(pkce && { code_challenge: challengeOf(checks.codeVerifier), code_challenge_method: 'S256' }),
      ...(provider.responseMode && { response_mode: provider.responseMode }),
      ...(provider.protocol === 'oidc' && { nonce: checks.nonce, ...openidParameters(request) }),
    });
    return { url: url.href, checks };
  }

  function scopeOf(extra: readonly string[]): string {
    const { scope = provider.protocol === 'oidc' ? 'openid profile email' : '' } = provider;
    return [...new Set([...scope.split(' '), ...extra])].join(' ').trim();
  }

  /** OpenID Connect Core §3.1.2.1 */
  function openidParameters(request: UpstreamRequest): Record<string, string> {
    const { prompt, maxAge, loginHint, uiLocales } = request;
    const asked = prompt.filter((value) => SIGN_IN_PROMPTS.includes(value));
    // Only then must it say when the user has signed in.
    const age = maxAge ?? (prompt.includes('login') ? 0 : undefined);
    const own = authorizationParameters.prompt?.split(' ') ?? [];
    const prompts = [...new Set([...own, ...asked])].join(' ');
    return {
      ...(prompts && { prompt: prompts }),
      ...(age !== undefined && { max_age: String(age) }),
      ...(loginHint !== undefined && { login_hint: loginHint }),
      ...(uiLocales !== undefined && { ui_locales: uiLocales }),
    };
  }

  async function identify(
    answer: UpstreamAnswer,
    { codeVerifier, nonce }: UpstreamChecks,
  ): Promise<{ identity: ProviderIdentity; tokens: UpstreamTokens }> {
    const client = await openidClient();
    const config = await configuration();
    const { user, ...parameters } = answer;
    const currentUrl = new URL(redirectUri);
    // A provider without an issuer cannot be compared with one; its callback has a URL of its own (RFC 9700 §4.4.2.2).
    const ignored = provider.issuer === undefined ? ['iss'] : [];
    for (const [name, value] of Object.entries<string | undefined>(parameters)) {
      if (value !== undefined && !ignored.includes(name)) currentUrl.searchParams.set(name, value);
    }
    const response = await client.authorizationCodeGrant(config, currentUrl, {
      expectedState: answer.state,
      ...(pkce && { pkceCodeVerifier: codeVerifier }),
      ...(provider.protocol === 'oidc' && { expectedNonce: nonce, idTokenExpected: true }),
    });
    const tokens = tokensOf(response);
    if (provider.protocol === 'oauth2') return { identity: await profileOf(config, tokens), tokens };

    const claims: Partial<OpenidClient.IDToken> = response.claims() ?? {};
    const hasUserinfo = config.serverMetadata().userinfo_endpoint !== undefined;
    const more =
      provider.userinfo !== false && hasUserinfo
        ? await client.fetchUserInfo(config, tokens.accessToken, claims.sub ?? '')
        : {};
    const name = nameInForm(user);
    // An address and its verification are of one document.
    const ownEmail = claims.email === undefined ? {} : { email: undefined, email_verified: undefined };
    const all = { ...(name !== undefined && { name }), ...more, ...ownEmail, ...claims };
    return { identity: identityOf(providerId, all, { issuer: claims.iss }), tokens };
  }

  async function profileOf(
    config: Configuration,
    { accessToken }: UpstreamTokens,
  ): Promise<ProviderIdentity> {
    const { userinfo, emails, claims: names, issuer } = provider as Provider & { protocol: 'oauth2' };
    const claims =
      typeof userinfo === 'function'
        ? await userinfo(accessToken)
        : await resource(config, accessToken, userinfo);
    const identity = identityOf(providerId, asObject(claims), { issuer, ...(names && { names }) });
    if (emails === undefined) return identity;
    const email = verifiedEmail(await resource(config, accessToken, emails));
    return email === undefined ? identity : { ...identity, email, emailVerified: true };
  }

  async function resource(config: Configuration, accessToken: string, url: string): Promise<unknown> {
    const { fetchProtectedResource } = await openidClient();
    const headers = new Headers({ accept: 'application/json' });
    const response = await fetchProtectedResource(
      config,
      accessToken,
      new URL(url),
      'GET',
      undefined,
      headers,
    );
    if (!response.ok) throw Object.assign(new Error('the provider refused'), { status: response.status });
    return response.json();
  }

  async function refresh(refreshToken: string): Promise<UpstreamTokens> {
    const { refreshTokenGrant } = await openidClient();
    const tokens = tokensOf(await refreshTokenGrant(await configuration(), refreshToken));
    // RFC 6749 §6: without a new one the old one stays.
    return { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken };
  }

  function tokensOf(response: TokenEndpointResponse): UpstreamTokens {
    const { access_token: accessToken, refresh_token: refreshToken, token_type: tokenType, scope } = response;
    const { expires_in: seconds } = response;
    const expiresAt = seconds === undefined ? undefined : clock() + seconds * 1000;
    return { accessToken, tokenType, scope, refreshToken, expiresAt };
  }

  /** All of it in time, and every failure as what a client may see of it. */
  function guarded<Args extends unknown[], Result>(
    run: (...args: Args) => Promise<Result>,
    secretsIn: (...args: Args) => readonly (string | undefined)[] = () => [],
  ) {
    return async (...args: Args): Promise<Result> => {
      try {
        return await inTime(run(...args), timeout);
      } catch (thrown) {
        const secrets = [...secretsIn(...args), lastSecret].filter((secret) => secret !== undefined);
        throw providerFailure(providerId, thrown, secrets);
      }
    };
  }

  return {
    provider,
    timeout,
    authorizationUrl: guarded(authorizationUrl),
    identify: guarded(identify, ({ code }, { codeVerifier }) => [code, codeVerifier]),
    refresh: guarded(refresh, (refreshToken) => [refreshToken]),
  };
}

/** Made once for many at once, and again when it is old; an old one will do while there is no new one. */
function kept<T>(make: () => Promise<T>, clock: () => number): () => Promise<T> {
  let value: { made: T; at: number } | undefined;
  let pending: Promise<T> | undefined;
  const renew = (): Promise<T> => {
    pending ??= make()
      .then((made) => (value = { made, at: clock() }).made)
      .finally(() => (pending = undefined));
    return pending;
  };
  return async () => {
    if (!value) return renew();
    // Nobody waits for a new one, which may not come.
    if (clock() - value.at >= METADATA_LIFETIME) renew().catch(() => undefined);
    return value.made;
  };
}

async function inTime<T>(answer: Promise<T>, seconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What providers of plain OAuth 2.0 answer otherwise: an ID token, which nobody could verify, and is not looked at; and errors
 * with the status of a success.
 */
async function plainFetch(url: string, options?: RequestInit): Promise<Response> {
  const response = await boundedFetch(url, options);
  const text = await response.text();
  const { status, headers } = response;
  if (!/"(id_token|error)"/.test(text)) return new Response(text === '' ? null : text, { status, headers });
  const parsed: unknown = JSON.parse(text);
  if (!isPlainObject(parsed)) return new Response(text, { status, headers });
  const { id_token: _, ...body } = parsed;
  const isError = status === 200 && typeof body.error === 'string' && body.access_token === undefined;
  return new Response(JSON.stringify(body), { status: isError ? 400 : status, headers });
}

/** Apple sends the user's name once, beside the code, where nobody has signed it: for showing, and nothing else. */
function nameInForm(user: string | undefined): string | undefined {
  if (user === undefined) return undefined;
  try {
    const { name } = asObject(JSON.parse(user));
    const { firstName, lastName } = asObject(name);
    return [firstName, lastName].filter((part) => typeof part === 'string').join(' ') || undefined;
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not an object');
  return value as Record<string, unknown>;
}

function random(): string {
  return randomBytes(32).toString('base64url');
}

function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url');
}
