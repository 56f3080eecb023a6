import type { Client } from '../clients/client';
import { isOutOfBandUri, matchesRedirectUri } from '../clients/redirect-uris';
import { OAuthError } from '../errors';
import { allowsExtraScope, PROVIDER_ID, type Provider } from '../federation/provider';
import type { Parameters } from '../http/parameters';

/** What an authorization request says of the provider to sign in through. */
export interface FederationRequest {
  readonly providerId: string;
  readonly type: 'authenticate' | 'link';
  /** Who is signed in at the app: a link ticket, or an access token where that is allowed. */
  readonly token: string | undefined;
  /** Scope values on top of the provider's own. */
  readonly extraScope: readonly string[];
}

/** Where a federated request goes besides `redirect_uri`: proven to be the client's. */
export interface FederationTargets {
  /** Where errors go that happen after the browser has left. */
  readonly errorRedirectUri?: string | undefined;
  /** Given back with the tokens; nothing is ever redirected there. */
  readonly afterCallbackRedirectUrl?: string | undefined;
}

export type Providers = ReadonlyMap<string, Provider>;

/** `/authorize/:provider_id` and `/callback/:provider_id`. */
export function providerPath(path: string): { base: string; providerId: string } | undefined {
  const [, base = '', providerId = ''] = /^(\/authorize|\/callback)\/([\w-]{1,64})$/.exec(path) ?? [];
  return providerId === '' ? undefined : { base, providerId };
}

/** The parameters of a request that names a provider; any other request ignores them. */
export const FEDERATION_PARAMETERS = [
  'after_callback_redirect_url',
  'connection',
  'error_redirect_uri',
  'error_redirect_url',
  'grant_type',
  'provider_scope',
  'token',
  'type',
] as const;

export function isFederatedRequest(parameters: Parameters, providers: Providers): boolean {
  return providers.size > 0 && parameters.get('connection') !== undefined;
}

/** Whatever is wrong here is told to the user, and never redirected. @throws OAuthError `invalid_request` */
export function federationTargets(
  parameters: Parameters,
  client: Client,
  providers: Providers,
): FederationTargets {
  if (!isFederatedRequest(parameters, providers)) return {};
  const own = (name: string): string | undefined => {
    const uri = parameters.get(name);
    const fault = parameters.faults.get(name);
    if (fault) throw new OAuthError('invalid_request', `The parameter ${name} ${fault}`);
    const isOwn = client.redirectUris.some(
      (registered) => uri !== undefined && !isOutOfBandUri(uri) && matchesRedirectUri(registered, uri),
    );
    if (uri !== undefined && !isOwn) {
      throw new OAuthError('invalid_request', `${name} is not registered for this client`, {
        reason: 'redirect_uri',
      });
    }
    return uri;
  };
  const [errorRedirectUri, other] = [own('error_redirect_uri'), own('error_redirect_url')];
  if (errorRedirectUri !== undefined && other !== undefined && errorRedirectUri !== other) {
    throw new OAuthError('invalid_request', 'error_redirect_uri and error_redirect_url differ');
  }
  return {
    errorRedirectUri: errorRedirectUri ?? other,
    afterCallbackRedirectUrl: own('after_callback_redirect_url'),
  };
}

/** Whatever is wrong here goes to the client. `returned`: the provider has answered, and `token` was looked at before. */
export function federationRequest(
  parameters: Parameters,
  client: Client,
  { providers, returned }: { providers: Providers; returned: boolean },
): FederationRequest | undefined {
  if (!isFederatedRequest(parameters, providers)) return undefined;
  const providerId = parameters.get('connection') ?? '';
  const provider = providers.get(providerId);
  if (!provider) {
    const name = PROVIDER_ID.test(providerId) ? ` ${providerId}` : '';
    throw new OAuthError('invalid_request', `The provider${name} is unknown`);
  }
  // A parameter of the token endpoint, which some SDKs send along.
  if ((parameters.get('grant_type') ?? 'authorization_code') !== 'authorization_code') {
    throw new OAuthError('invalid_request', 'grant_type must be authorization_code');
  }
  const type = parameters.get('type') ?? 'authenticate';
  if (type !== 'authenticate' && type !== 'link') {
    throw new OAuthError('invalid_request', 'type must be authenticate or link');
  }
  const token = parameters.get('token');
  if (type === 'link' && token === undefined && !returned) {
    throw new OAuthError('invalid_request', 'token is missing, which link needs');
  }
  const extraScope = (parameters.get('provider_scope') ?? '').split(' ').filter((value) => value !== '');
  const refused = extraScope.find((value) => !allowsExtraScope(provider, value, client));
  if (refused !== undefined) {
    throw new OAuthError('invalid_scope', `The provider_scope ${refused} is not allowed here`);
  }
  return { providerId, type, token, extraScope };
}
