import { randomBytes } from 'node:crypto';

import type { TokenEndpointResponse } from 'openid-client';

import { sha256 } from '../digest';
import { providerFailure } from './failure';
import type { ProviderIdentity } from './identity';
import type { ResolvedProvider } from './provider';
import { createProviderConfiguration, openidClient, type UpstreamOptions } from './provider-configuration';
import { readOAuth2Identity, readOidcIdentity } from './provider-profile';

/** The parameters of an authorization request to a provider. */
export interface UpstreamRequest {
  readonly state: string;
  /** Added to the provider's own scope. */
  readonly extraScope: readonly string[];
  readonly prompt: readonly string[];
  readonly maxAge: number | undefined;
  readonly loginHint: string | undefined;
  readonly uiLocales: string | undefined;
}

/** The values that must be kept until the provider responds. */
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

/** The parameters of the callback (RFC 6749 §4.1.2, RFC 9207 §2). */
export interface UpstreamResponse {
  readonly state: string;
  readonly code: string | undefined;
  readonly iss: string | undefined;
  readonly error: string | undefined;
  readonly error_description: string | undefined;
  /** The user's name, as JSON: only Apple sends it. */
  readonly user: string | undefined;
}

/** A provider at which this server is a client. Every failure there becomes an `OAuthError` that this server's client may see. */
export interface Upstream {
  readonly provider: ResolvedProvider;
  /** Returns the URL that the browser must go to. */
  authorizationUrl(request: UpstreamRequest): Promise<{ url: string; checks: UpstreamChecks }>;
  /** Identifies the user who came back, from the response that the browser brought. */
  identify(
    response: UpstreamResponse,
    checks: UpstreamChecks,
  ): Promise<{ identity: ProviderIdentity; tokens: UpstreamTokens }>;
  refresh(refreshToken: string): Promise<UpstreamTokens>;
}

export function createUpstream(
  providerId: string,
  provider: ResolvedProvider,
  { redirectUri, ...options }: UpstreamOptions & { redirectUri: string },
): Upstream {
  const { clock } = options;
  const configuration = createProviderConfiguration(provider, options);

  async function authorizationUrl(
    request: UpstreamRequest,
  ): Promise<{ url: string; checks: UpstreamChecks }> {
    const { buildAuthorizationUrl } = await openidClient();
    const checks = { codeVerifier: random(), nonce: random() };
    const parameters = authorizationParameters(provider, request, checks);
    const url = buildAuthorizationUrl(await configuration.get(), {
      ...parameters,
      redirect_uri: redirectUri,
    });
    return { url: url.href, checks };
  }

  async function identify(
    response: UpstreamResponse,
    { codeVerifier, nonce }: UpstreamChecks,
  ): Promise<{ identity: ProviderIdentity; tokens: UpstreamTokens }> {
    const { authorizationCodeGrant } = await openidClient();
    const config = await configuration.get();
    const tokenResponse = await authorizationCodeGrant(config, callbackUrl(response), {
      expectedState: response.state,
      ...(provider.pkce && { pkceCodeVerifier: codeVerifier }),
      ...(provider.protocol === 'oidc' && { expectedNonce: nonce, idTokenExpected: true }),
    });
    const tokens = tokensOf(tokenResponse);
    const { accessToken } = tokens;
    const identity =
      provider.protocol === 'oauth2'
        ? await readOAuth2Identity(providerId, provider, config, accessToken)
        : await readOidcIdentity(providerId, provider, config, {
            claims: tokenResponse.claims() ?? {},
            accessToken,
            user: response.user,
          });
    return { identity, tokens };
  }

  function callbackUrl(response: UpstreamResponse): URL {
    const { user: _, ...parameters } = response;
    const url = new URL(redirectUri);
    // Without a configured issuer, `iss` cannot be checked; the provider's own callback URL protects instead (RFC 9700 §4.4.2.2).
    const ignored = provider.issuer === undefined ? ['iss'] : [];
    for (const [name, value] of Object.entries<string | undefined>(parameters)) {
      if (value !== undefined && !ignored.includes(name)) url.searchParams.set(name, value);
    }
    return url;
  }

  async function refresh(refreshToken: string): Promise<UpstreamTokens> {
    const { refreshTokenGrant } = await openidClient();
    const tokens = tokensOf(await refreshTokenGrant(await configuration.get(), refreshToken));
    // RFC 6749 §6: without a new refresh token, the old one remains.
    return { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken };
  }

  function tokensOf(response: TokenEndpointResponse): UpstreamTokens {
    const { access_token: accessToken, refresh_token: refreshToken, token_type: tokenType, scope } = response;
    const { expires_in: seconds } = response;
    const expiresAt = seconds === undefined ? undefined : clock() + seconds * 1000;
    return { accessToken, tokenType, scope, refreshToken, expiresAt };
  }

  /** Limits the time of a call, and converts its failure to an error that the client may see. */
  function limited<Args extends unknown[], Result>(
    run: (...args: Args) => Promise<Result>,
    secretsIn: (...args: Args) => readonly (string | undefined)[] = () => [],
  ) {
    return async (...args: Args): Promise<Result> => {
      try {
        return await inTime(run(...args), provider.timeout);
      } catch (thrown) {
        const secrets = [...secretsIn(...args), configuration.lastSecret()];
        const sent = secrets.filter((secret) => secret !== undefined);
        throw providerFailure(providerId, thrown, sent);
      }
    };
  }

  return {
    provider,
    authorizationUrl: limited(authorizationUrl),
    identify: limited(identify, ({ code }, { codeVerifier }) => [code, codeVerifier]),
    refresh: limited(refresh, (refreshToken) => [refreshToken]),
  };
}

function authorizationParameters(
  provider: ResolvedProvider,
  request: UpstreamRequest,
  { codeVerifier, nonce }: UpstreamChecks,
): Record<string, string> {
  const scope = [...new Set([...provider.scope.split(' '), ...request.extraScope])].join(' ').trim();
  return {
    ...provider.authorizationParameters,
    response_type: 'code',
    scope,
    state: request.state,
    ...(provider.pkce && { code_challenge: sha256(codeVerifier), code_challenge_method: 'S256' }),
    ...(provider.responseMode !== undefined && { response_mode: provider.responseMode }),
    ...(provider.protocol === 'oidc' && { nonce, ...openidParameters(provider, request) }),
  };
}

/** The values of `prompt` that concern the sign-in. */
const SIGN_IN_PROMPTS = ['login', 'select_account'];

/** OpenID Connect Core §3.1.2.1 */
function openidParameters(
  { authorizationParameters: own }: ResolvedProvider,
  { prompt, maxAge, loginHint, uiLocales }: UpstreamRequest,
): Record<string, string> {
  const asked = prompt.filter((value) => SIGN_IN_PROMPTS.includes(value));
  // The provider must return auth_time only if the request has max_age.
  const age = maxAge ?? (prompt.includes('login') ? 0 : undefined);
  const prompts = [...new Set([...(own.prompt?.split(' ') ?? []), ...asked])].join(' ');
  return {
    ...(prompts && { prompt: prompts }),
    ...(age !== undefined && { max_age: String(age) }),
    ...(loginHint !== undefined && { login_hint: loginHint }),
    ...(uiLocales !== undefined && { ui_locales: uiLocales }),
  };
}

async function inTime<T>(result: Promise<T>, seconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}

function random(): string {
  return randomBytes(32).toString('base64url');
}
