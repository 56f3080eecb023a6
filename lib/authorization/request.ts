import { scopeValues, type Client } from '../clients/client';
import { invalidRequest, OAuthError, unauthorizedClient } from '../errors';
import type { GrantContext } from '../host/grant-context';
import type { Authentication, OAuthUser } from '../host/user';
import { refuseFaults, type Parameters } from '../http/parameters';
import type { Audiences } from '../policy/audiences';
import type { IdTokens } from '../tokens/id-token';
import { claimsParameter, type ClaimsParameter } from './claims-parameter';
import type { Progress } from './progress';
import { providerRequest, type ProviderRequest, type Providers } from './provider-parameters';
import { responseModeOf, type RedirectTarget, type ResponseMode } from './redirect-target';

/** The parameters that are read; all others are ignored (RFC 6749 §3.1). */
export const REQUEST_PARAMETERS: readonly string[] = [
  'acr_values',
  'audience',
  'claims',
  'client_id',
  'code_challenge',
  'code_challenge_method',
  'display',
  'dpop_jkt',
  'id_token_hint',
  'login_hint',
  'max_age',
  'nonce',
  'prompt',
  'redirect_uri',
  'request',
  'request_uri',
  'resource',
  'response_mode',
  'response_type',
  'resume',
  'scope',
  'state',
  'ui_locales',
];

/** The values of `prompt` (OpenID Connect Core §3.1.2.1). */
export const PROMPTS = ['none', 'login', 'consent', 'select_account'] as const;
/** A value of `prompt` (OpenID Connect Core §3.1.2.1). */
export type Prompt = (typeof PROMPTS)[number];

/** An authorization request that has been checked. */
export interface AuthorizationRequest extends RedirectTarget {
  readonly scope: readonly string[];
  readonly resources: readonly string[];
  readonly codeChallenge: string | undefined;
  readonly prompt: readonly Prompt[];
  /** Seconds. */
  readonly maxAge: number | undefined;
  readonly loginHint: string | undefined;
  readonly uiLocales: string | undefined;
  readonly display: string | undefined;
  readonly acrValues: readonly string[];
  readonly nonce: string | undefined;
  readonly claims: ClaimsParameter;
  /** The `sub` values that `id_token_hint` and `claims` require: the user's `sub` must be in every list. */
  readonly expectedSubs: readonly (readonly string[])[];
  /** The DPoP key that the code is bound to (RFC 9449 §10). */
  readonly dpopJkt: string | undefined;
  /** The sign-in through a provider, if the request names one. */
  readonly federation: ProviderRequest | undefined;
}

/** An authorization request that names a provider. */
export type FederatedRequest = AuthorizationRequest & { readonly federation: ProviderRequest };

/** An authorization request with the user who is signed in. */
export interface SignedInRequest extends AuthorizationRequest {
  readonly user: OAuthUser;
  readonly userId: string;
  readonly authentication: Authentication;
}

/** Returns the facts about a request that policies decide by. */
export function grantContext(request: AuthorizationRequest & { userId?: string | undefined }): GrantContext {
  const { client, scope, resources, userId } = request;
  return { client, scope, resources, userId, grantType: 'authorization_code' };
}

/** How a request arrived: pushed, signed, back from a provider, or none of these. */
export type Origin = Pick<Progress, 'pushedId' | 'signed' | 'providerUser'>;

/** Checks the parameters of a request. @throws OAuthError, which is sent to the client */
export type Validate = (
  target: RedirectTarget,
  parameters: Parameters,
  origin: Origin,
) => AuthorizationRequest;

/** @see RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2, OpenID Connect Core §3.1.2.1 */
export function createValidate(options: {
  audiences: Audiences;
  idTokens: IdTokens;
  providers: Providers;
  responseModes: readonly ResponseMode[];
}): Validate {
  const { audiences, idTokens, providers, responseModes } = options;

  return (target, parameters, origin) => {
    refuseFaults(parameters);
    const { client } = target;
    refuseUnsupported(parameters, responseModes, target.redirectUri);
    refuseOrigin(target, origin);
    if (!client.grantTypes.includes('authorization_code')) {
      throw unauthorizedClient('The client is not registered for authorization_code');
    }
    const claims = claimsParameter(parameters.get('claims'));
    const resources = audiences.requested(parameters, client);
    return {
      ...target,
      codeChallenge: codeChallenge(parameters, client),
      scope: audiences.requestedScope(parameters.get('scope'), client, resources),
      resources,
      prompt: promptOf(parameters),
      maxAge: maxAgeOf(parameters) ?? client.metadata.defaultMaxAge,
      loginHint: parameters.get('login_hint'),
      uiLocales: parameters.get('ui_locales'),
      display: parameters.get('display'),
      acrValues: scopeValues(parameters.get('acr_values')),
      nonce: parameters.get('nonce'),
      claims,
      expectedSubs: [...hintedSub(parameters, client, idTokens), ...claims.subs],
      dpopJkt: dpopJktOf(parameters),
      federation: providerRequest(parameters, client, {
        providers,
        isReturned: origin.providerUser !== undefined,
      }),
    };
  };
}

/** Refuses a request that did not arrive in the way that the client is registered for. */
function refuseOrigin({ client, redirectUriGiven }: RedirectTarget, { pushedId, signed }: Origin): void {
  if (client.requirePushedAuthorizationRequests && pushedId === undefined)
    throw invalidRequest('The client must push its authorization requests');
  if (client.requireSignedRequestObject && !signed)
    throw invalidRequest('The client must sign its authorization requests');
  // FAPI 2.0 Security Profile §5.3.2.2
  if (client.fapi && !redirectUriGiven) throw invalidRequest('redirect_uri is missing');
}

/** Returns the `sub` of `id_token_hint`, which may have expired (OpenID Connect Core §3.1.2.1). */
function hintedSub(parameters: Parameters, { clientId }: Client, idTokens: IdTokens): string[][] {
  const hint = parameters.get('id_token_hint');
  if (hint === undefined) return [];
  const claims = idTokens.read(hint);
  if (claims?.aud !== clientId)
    throw invalidRequest('id_token_hint is not an ID token issued to this client');
  return [[claims.sub]];
}

function dpopJktOf(parameters: Parameters): string | undefined {
  const jkt = parameters.get('dpop_jkt');
  if (jkt !== undefined && !/^[\w-]{43}$/.test(jkt))
    throw invalidRequest('dpop_jkt must be a SHA-256 thumbprint');
  return jkt;
}

function refuseUnsupported(
  parameters: Parameters,
  responseModes: readonly ResponseMode[],
  redirectUri: string,
): void {
  const responseType = parameters.get('response_type');
  if (responseType === undefined) throw invalidRequest('response_type is missing');
  if (responseType !== 'code')
    throw new OAuthError('unsupported_response_type', 'The response_type must be code');
  if (!responseModeOf(parameters, responseModes, redirectUri))
    throw invalidRequest(`The response_mode must be one of ${responseModes.join(', ')}`);
}

/**
 * Returns the S256 challenge of PKCE, which is required unless the client is registered without it. A method that is left out
 * would mean plain (RFC 7636 §4.3).
 */
function codeChallenge(parameters: Parameters, client: Client): string | undefined {
  const challenge = parameters.get('code_challenge');
  const method = parameters.get('code_challenge_method');
  if (challenge === undefined) {
    if (method !== undefined) throw invalidRequest('code_challenge is missing');
    if (client.requirePkce) throw invalidRequest('PKCE is required: code_challenge is missing');
    return undefined;
  }
  if (method !== 'S256') throw invalidRequest('code_challenge_method must be S256');
  if (!/^[\w-]{43}$/.test(challenge))
    throw invalidRequest('code_challenge must be 43 characters of base64url');
  return challenge;
}

function promptOf(parameters: Parameters): readonly Prompt[] {
  const values = parameters.get('prompt')?.split(' ') ?? [];
  const prompts = values.map((value) => PROMPTS.find((prompt) => prompt === value));
  if (prompts.includes(undefined)) throw invalidRequest('prompt has an unknown value');
  if (prompts.includes('none') && prompts.length > 1)
    throw invalidRequest('prompt=none must not be combined with another value');
  return prompts.filter((prompt) => prompt !== undefined);
}

function maxAgeOf(parameters: Parameters): number | undefined {
  const value = parameters.get('max_age');
  if (value === undefined) return undefined;
  if (!/^\d{1,10}$/.test(value)) throw invalidRequest('max_age must be a whole number of seconds');
  return Number(value);
}
