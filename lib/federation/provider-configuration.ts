import type * as OpenidClient from 'openid-client';
import type { ClientAuth, Configuration } from 'openid-client';

import { createGuardedFetch } from '../http/outbound';
import { isJsonObject, parseJsonObject, withoutNulls } from '../json';
import type { ResolvedProvider } from './provider';

/** openid-client's configuration for one provider. */
export interface ProviderConfiguration {
  /** Returns the current configuration: discovered once, and again when it is old. */
  get(): Promise<Configuration>;
  /** Returns the client secret that was last sent: the provider's error may quote it. */
  lastSecret(): string | undefined;
}

/** Loads openid-client. It is an ES module, which a CommonJS host without providers never loads. */
export const openidClient = (): Promise<typeof OpenidClient> => import('openid-client');

/** A multiple of the longest useful response of a provider, its key set. */
const MAXIMUM_RESPONSE_BYTES = 524_288;
/** How long a provider's published metadata is used. Milliseconds. */
const METADATA_LIFETIME = 3_600_000;

/** The settings of the server that concern requests to providers. */
export interface UpstreamOptions {
  allowHttp: boolean;
  /** Allows private addresses for all hosts that a discovery document names. */
  allowPrivateAddresses: boolean;
  clock: () => number;
}

export function createProviderConfiguration(
  provider: ResolvedProvider,
  { allowHttp, allowPrivateAddresses, clock }: UpstreamOptions,
): ProviderConfiguration {
  let lastSecret: string | undefined;
  // The operator chose the hosts in the options; a discovery document may name any other.
  const chosen = hostsOf(provider);
  const fetch = createGuardedFetch({
    allowPrivateAddresses: (hostname) => allowPrivateAddresses || chosen.has(hostname),
    allowHttp,
    maximumLength: MAXIMUM_RESPONSE_BYTES,
  });

  async function configure(): Promise<Configuration> {
    const client = await openidClient();
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- openid-client deprecates it as a warning: for development only
    const extensions: ((config: Configuration) => void)[] = allowHttp ? [client.allowInsecureRequests] : [];
    if (provider.protocol === 'oauth2') return configureOAuth2(client, extensions);
    const { issuer, clientId, timeout, idTokenSignedResponseAlg: alg } = provider;
    const metadata = alg === undefined ? {} : { id_token_signed_response_alg: alg };
    return client.discovery(new URL(issuer), clientId, metadata, clientAuthentication(client), {
      [client.customFetch]: async (...request) => usualResponse(await fetch(...request)),
      timeout,
      execute: [...extensions, client.enableNonRepudiationChecks],
    });
  }

  function configureOAuth2(
    client: typeof OpenidClient,
    extensions: readonly ((config: Configuration) => void)[],
  ): Configuration {
    const { authorizationEndpoint, tokenEndpoint, issuer, clientId, timeout } =
      provider as ResolvedProvider & { protocol: 'oauth2' };
    const metadata = {
      issuer: issuer ?? new URL(authorizationEndpoint).origin,
      authorization_endpoint: authorizationEndpoint,
      token_endpoint: tokenEndpoint,
    };
    const configuration = new client.Configuration(metadata, clientId, {}, clientAuthentication(client));
    configuration[client.customFetch] = async (...request) => plainResponse(await fetch(...request));
    configuration.timeout = timeout;
    extensions.forEach((extend) => extend(configuration));
    return configuration;
  }

  /** Creates the client authentication. A function may return a different secret for each request. */
  function clientAuthentication(client: typeof OpenidClient): ClientAuth {
    const { clientSecret, tokenEndpointAuthMethod: method } = provider;
    if (clientSecret === undefined || method === 'none') return client.None();
    const by = method === 'client_secret_basic' ? client.ClientSecretBasic : client.ClientSecretPost;
    const authenticate = async (...request: Parameters<ClientAuth>): Promise<void> => {
      lastSecret = typeof clientSecret === 'string' ? clientSecret : await clientSecret();
      by(lastSecret)(...request);
    };
    // eslint-disable-next-line @typescript-eslint/no-misused-promises -- openid-client waits for it, as for methods that sign
    return authenticate;
  }

  return { get: kept(configure, clock), lastSecret: () => lastSecret };
}

/** Creates a value once for concurrent callers, and again when it is old. The old value is used until there is a new one. */
function kept<T>(create: () => Promise<T>, clock: () => number): () => Promise<T> {
  let value: { created: T; at: number } | undefined;
  let pending: Promise<T> | undefined;
  const renew = (): Promise<T> => {
    pending ??= create()
      .then((created) => (value = { created, at: clock() }).created)
      .finally(() => (pending = undefined));
    return pending;
  };
  return async () => {
    if (!value) return renew();
    // No caller waits for the new value, and creating it may fail.
    if (clock() - value.at >= METADATA_LIFETIME) renew().catch(() => undefined);
    return value.created;
  };
}

/**
 * Adapts a response of a plain OAuth 2.0 provider to openid-client. An ID token is removed, because it could not be verified. An
 * error that was sent with status 200 gets status 400.
 */
async function plainResponse(given: Response): Promise<Response> {
  const response = await usualResponse(given);
  const text = await response.text();
  const { status, headers } = response;
  if (!/"(id_token|error)"/.test(text)) return new Response(text === '' ? null : text, { status, headers });
  const parsed: unknown = JSON.parse(text);
  if (!isJsonObject(parsed)) return new Response(text, { status, headers });
  const { id_token: _, ...body } = parsed;
  const isError = status === 200 && typeof body.error === 'string' && body.access_token === undefined;
  return new Response(JSON.stringify(body), { status: isError ? 400 : status, headers });
}

/**
 * Brings a token response into the form of RFC 6749 §5.1. Some providers send `scope` as a list, `expires_in` as a text, `null` for a
 * missing member, or no `token_type`.
 */
async function usualResponse(response: Response): Promise<Response> {
  const { status, headers } = response;
  const text = await response.text();
  const body = parseJsonObject(text);
  if (typeof body?.access_token !== 'string')
    return new Response(text === '' ? null : text, { status, headers });
  const { scope, expires_in: seconds, token_type: type, ...others } = withoutNulls(body);
  const usual = {
    ...others,
    token_type: typeof type === 'string' && type !== '' ? type : 'bearer',
    ...(scope !== undefined && { scope: Array.isArray(scope) ? scope.join(' ') : scope }),
    ...(seconds !== undefined && { expires_in: typeof seconds === 'string' ? Number(seconds) : seconds }),
  };
  return new Response(JSON.stringify(usual), { status, headers });
}

/** Returns the hosts of the URLs in a provider's options. */
function hostsOf(provider: ResolvedProvider): ReadonlySet<string> {
  const urls =
    provider.protocol === 'oidc'
      ? [provider.issuer]
      : [provider.authorizationEndpoint, provider.tokenEndpoint, provider.userinfo, provider.emails];
  return new Set(urls.flatMap((url) => (typeof url === 'string' ? new URL(url).hostname : [])));
}
