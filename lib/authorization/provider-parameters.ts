import type { Client } from '../clients/client';
import { isOutOfBandUri, matchesRedirectUri } from '../clients/redirect-uris';
import { invalidRequest, invalidScope } from '../errors';
import { allowsExtraScope, PROVIDER_ID, type ResolvedProvider } from '../federation/provider';
import type { Parameters } from '../http/parameters';

/** The sign-in through a provider that an authorization request asks for. */
export interface ProviderRequest {
  readonly providerId: string;
  readonly type: 'authenticate' | 'link';
  /** The token that identifies the app's user: a link ticket, or an access token where that is allowed. */
  readonly token: string | undefined;
  /** Scope values in addition to the provider's own. */
  readonly extraScope: readonly string[];
}

/** Further URIs of a request that names a provider. Each is registered for the client. */
export interface ProviderTargets {
  /** The URI for errors that occur after the browser has left. */
  readonly errorRedirectUri?: string | undefined;
  /** Returned with the tokens; nothing is ever redirected there. */
  readonly afterCallbackRedirectUrl?: string | undefined;
}

export type Providers = ReadonlyMap<string, ResolvedProvider>;

/** The parameters of a request that names a provider; any other request ignores them. */
export const PROVIDER_PARAMETERS: readonly string[] = [
  'after_callback_redirect_url',
  'connection',
  'error_redirect_uri',
  'error_redirect_url',
  'grant_type',
  'provider_scope',
  'token',
  'type',
];

export function namesProvider(parameters: Parameters, providers: Providers): boolean {
  return providers.size > 0 && parameters.get('connection') !== undefined;
}

/** Reads the further URIs of a request. @throws OAuthError `invalid_request`, which is shown to the user */
export function providerTargets(
  parameters: Parameters,
  client: Client,
  providers: Providers,
): ProviderTargets {
  if (!namesProvider(parameters, providers)) return {};
  const own = (name: string): string | undefined => ownUri(parameters, name, client);
  const [errorRedirectUri, other] = [own('error_redirect_uri'), own('error_redirect_url')];
  if (errorRedirectUri !== undefined && other !== undefined && errorRedirectUri !== other)
    throw invalidRequest('error_redirect_uri and error_redirect_url differ');
  return {
    errorRedirectUri: errorRedirectUri ?? other,
    afterCallbackRedirectUrl: own('after_callback_redirect_url'),
  };
}

function ownUri(parameters: Parameters, name: string, client: Client): string | undefined {
  const uri = parameters.get(name);
  const fault = parameters.faults.get(name);
  if (fault) throw invalidRequest(`The parameter ${name} ${fault}`);
  if (uri === undefined) return undefined;
  const isOwn = [...client.landingUris, ...client.redirectUris].some(
    (registered) => !isOutOfBandUri(uri) && matchesRedirectUri(registered, uri),
  );
  if (isOwn) return uri;
  throw invalidRequest(`${name} is not registered for this client`, { reason: 'redirect_uri' });
}

/**
 * Reads the sign-in that a request asks for. `isReturned` says that the provider has responded, and that `token` was checked before.
 *
 * @throws OAuthError, which is sent to the client
 */
export function providerRequest(
  parameters: Parameters,
  client: Client,
  { providers, isReturned }: { providers: Providers; isReturned: boolean },
): ProviderRequest | undefined {
  if (!namesProvider(parameters, providers)) return undefined;
  const providerId = parameters.get('connection') ?? '';
  const provider = providers.get(providerId);
  if (!provider) {
    const name = PROVIDER_ID.test(providerId) ? ` ${providerId}` : '';
    throw invalidRequest(`The provider${name} is unknown`);
  }
  // A parameter of the token endpoint, which some SDKs send here too.
  if ((parameters.get('grant_type') ?? 'authorization_code') !== 'authorization_code')
    throw invalidRequest('grant_type must be authorization_code');
  const type = parameters.get('type') ?? 'authenticate';
  if (type !== 'authenticate' && type !== 'link') throw invalidRequest('type must be authenticate or link');
  const token = parameters.get('token');
  if (type === 'link' && token === undefined && !isReturned)
    throw invalidRequest('token is missing: type=link needs it');
  const extraScope = (parameters.get('provider_scope') ?? '').split(' ').filter((value) => value !== '');
  const refused = extraScope.find((value) => !allowsExtraScope(provider, value, client));
  if (refused !== undefined) throw invalidScope(`The provider_scope ${refused} is not allowed here`);
  return { providerId, type, token, extraScope };
}
