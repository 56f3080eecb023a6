import type { Client } from '../clients/client';
import { isOutOfBandUri, matchesRedirectUri, redirectUriFault } from '../clients/redirect-uris';
import type { ClientRegistry } from '../clients/registry';
import { OAuthError } from '../errors';
import type { Audiences } from '../grants/audiences';
import type { GrantContext } from '../grants/policy';
import type { Authentication, OAuthUser } from '../grants/user';
import { claimsParameter, type ClaimsParameter } from '../grants/user-claims';
import { refuseFaults, type Parameters } from '../http/parameters';
import type { IdTokens } from '../tokens/id-token';
import {
  federationRequest,
  federationTargets,
  type FederationRequest,
  type FederationTargets,
  type Providers,
} from './federation-request';
import type { Progress } from './resumption';

/** Where the answer to an authorization request may go: proven to be the client's. */
export interface RedirectTarget extends FederationTargets {
  readonly client: Client;
  readonly redirectUri: string;
  readonly redirectUriGiven: boolean;
  readonly state: string | undefined;
  readonly responseMode: ResponseMode;
  /** How the code is given without a redirect, where the redirect URI is no place to go to. */
  readonly outOfBand: 'page' | 'json' | undefined;
}

/** How the answer gets to the client (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode, JARM §2.3). */
export const RESPONSE_MODES = ['query', 'form_post', 'jwt', 'query.jwt', 'form_post.jwt'] as const;
export type ResponseMode = (typeof RESPONSE_MODES)[number];

/** What is read of a request: the rest is ignored (RFC 6749 §3.1). */
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

export const PROMPTS = ['none', 'login', 'consent', 'select_account'] as const;
export type Prompt = (typeof PROMPTS)[number];

/** An authorization request that was checked. */
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
  /** The `sub` that the user must have, by `id_token_hint` and `claims`: one of each list. */
  readonly expectedSubs: readonly (readonly string[])[];
  /** The DPoP key that the code is bound to (RFC 9449 §10). */
  readonly dpopJkt: string | undefined;
  /** The provider to sign in through, if it names one. */
  readonly federation: FederationRequest | undefined;
}

/** A user's decision on the consent page, as its form sealed it. */
export interface Decision {
  readonly userId: string;
  /** The scope that was shown. */
  readonly scope: readonly string[];
  readonly allowed: boolean;
}

/** An authorization request with who is signed in. */
export interface SignedInRequest extends AuthorizationRequest {
  readonly user: OAuthUser;
  readonly userId: string;
  readonly authentication: Authentication;
}

/** What policies decide by. */
export function grantContext(request: AuthorizationRequest & { userId?: string }): GrantContext {
  const { client, scope, resources, userId } = request;
  return { client, scope, resources, userId, grantType: 'authorization_code' };
}

/**
 * The client of a request, and the redirect URI that is its own. Whatever is wrong here is told to the user, and never
 * redirected.
 *
 * @throws OAuthError `invalid_request`
 * @see RFC 6749 §3.1.2 and §4.1.2.1
 */
export async function redirectTarget(
  parameters: Parameters,
  registry: ClientRegistry,
  options: { allowHttp: boolean; providers: Providers; responseModes: readonly ResponseMode[] },
): Promise<RedirectTarget> {
  const { allowHttp, providers, responseModes } = options;
  for (const name of ['client_id', 'redirect_uri']) {
    const fault = parameters.faults.get(name);
    if (fault) throw new OAuthError('invalid_request', `The parameter ${name} ${fault}`);
  }
  const clientId = parameters.get('client_id');
  if (clientId === undefined) throw new OAuthError('invalid_request', 'client_id is missing');
  const record = await registry.find(clientId);
  if (!record) throw new OAuthError('invalid_request', 'The client is unknown', { reason: 'unknown client' });

  const { client } = record;
  const given = parameters.get('redirect_uri');
  const redirectUri = given ?? onlyRedirectUri(client);
  const own = client.redirectUris.some((registered) => matchesRedirectUri(registered, redirectUri));
  if (!own || redirectUriFault(redirectUri, { allowHttp, allowOutOfBand: true })) {
    throw new OAuthError('invalid_request', 'redirect_uri is not registered for this client', {
      reason: 'redirect_uri',
    });
  }
  return {
    client,
    redirectUri,
    redirectUriGiven: given !== undefined,
    state: parameters.get('state'),
    // One that is unknown is an error, which has to be told somehow.
    responseMode: responseModeOf(parameters, responseModes) ?? 'query',
    outOfBand: isOutOfBandUri(redirectUri) ? client.outOfBand : undefined,
    ...federationTargets(parameters, client, providers),
  };
}

function responseModeOf(
  parameters: Parameters,
  responseModes: readonly ResponseMode[],
): ResponseMode | undefined {
  const given = parameters.get('response_mode') ?? 'query';
  return responseModes.find((mode) => mode === given);
}

/** RFC 6749 §3.1.2.3: it may be left out if there is just one. */
function onlyRedirectUri({ redirectUris }: Client): string {
  const [only, ...others] = redirectUris;
  if (only === undefined || others.length > 0)
    throw new OAuthError('invalid_request', 'redirect_uri is missing');
  return only;
}

/** How a request came: pushed, signed, back from a provider, or none of these. */
export type Origin = Pick<Progress, 'pushedId' | 'signed' | 'signedIn'>;

/**
 * Everything else in the request. Whatever is wrong here goes to the client.
 *
 * @see RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2, OpenID Connect Core §3.1.2.1
 */
export function authorizationRequest(
  target: RedirectTarget,
  parameters: Parameters,
  origin: Origin,
  options: {
    audiences: Audiences;
    idTokens: IdTokens;
    providers: Providers;
    responseModes: readonly ResponseMode[];
  },
): AuthorizationRequest {
  refuseFaults(parameters);
  const { client } = target;
  const { audiences, idTokens, providers, responseModes } = options;
  refuseUnsupported(parameters, responseModes);
  refuseOrigin(target, origin);
  if (!client.grantTypes.includes('authorization_code')) {
    throw new OAuthError('unauthorized_client', 'The client is not registered for authorization_code');
  }
  const claims = claimsParameter(parameters.get('claims'));
  const resources = audiences.requested(parameters, client);
  return {
    ...target,
    codeChallenge: codeChallenge(parameters, client),
    scope: audiences.scope(parameters.get('scope'), client.scope, resources),
    resources,
    prompt: promptOf(parameters),
    maxAge: maxAgeOf(parameters) ?? client.metadata.defaultMaxAge,
    loginHint: parameters.get('login_hint'),
    uiLocales: parameters.get('ui_locales'),
    display: parameters.get('display'),
    acrValues: parameters.get('acr_values')?.split(' ') ?? [],
    nonce: parameters.get('nonce'),
    claims,
    expectedSubs: [...hintedSub(parameters, client, idTokens), ...claims.subs],
    dpopJkt: dpopJktOf(parameters),
    federation: federationRequest(parameters, client, {
      providers,
      returned: origin.signedIn !== undefined,
    }),
  };
}

/** What a client has to do and did not. */
function refuseOrigin({ client, redirectUriGiven }: RedirectTarget, { pushedId, signed }: Origin): void {
  if (client.requirePushedAuthorizationRequests && pushedId === undefined) {
    throw new OAuthError('invalid_request', 'The client must push its authorization requests');
  }
  if (client.requireSignedRequestObject && !signed) {
    throw new OAuthError('invalid_request', 'The client must sign its authorization requests');
  }
  // FAPI 2.0 Security Profile §5.3.2.2
  if (client.fapi && !redirectUriGiven) throw new OAuthError('invalid_request', 'redirect_uri is missing');
}

/** OpenID Connect Core §3.1.2.1, `id_token_hint`: it may have expired. */
function hintedSub(parameters: Parameters, { clientId }: Client, idTokens: IdTokens): string[][] {
  const hint = parameters.get('id_token_hint');
  if (hint === undefined) return [];
  const claims = idTokens.read(hint);
  if (claims?.aud !== clientId) {
    throw new OAuthError('invalid_request', 'id_token_hint is no ID token of this client');
  }
  return [[claims.sub]];
}

function dpopJktOf(parameters: Parameters): string | undefined {
  const jkt = parameters.get('dpop_jkt');
  if (jkt !== undefined && !/^[\w-]{43}$/.test(jkt)) {
    throw new OAuthError('invalid_request', 'dpop_jkt must be a SHA-256 thumbprint');
  }
  return jkt;
}

function refuseUnsupported(parameters: Parameters, responseModes: readonly ResponseMode[]): void {
  const responseType = parameters.get('response_type');
  if (responseType === undefined) throw new OAuthError('invalid_request', 'response_type is missing');
  if (responseType !== 'code')
    throw new OAuthError('unsupported_response_type', 'The response_type must be code');
  if (!responseModeOf(parameters, responseModes)) {
    throw new OAuthError('invalid_request', `The response_mode must be one of ${responseModes.join(', ')}`);
  }
}

/** PKCE with S256, and nothing else; a method that is left out would mean plain (RFC 7636 §4.3). */
function codeChallenge(parameters: Parameters, client: Client): string | undefined {
  const challenge = parameters.get('code_challenge');
  const method = parameters.get('code_challenge_method');
  if (challenge === undefined) {
    if (method !== undefined) throw new OAuthError('invalid_request', 'code_challenge is missing');
    if (client.requirePkce)
      throw new OAuthError('invalid_request', 'PKCE is required: code_challenge is missing');
    return undefined;
  }
  if (method !== 'S256') throw new OAuthError('invalid_request', 'code_challenge_method must be S256');
  if (!/^[\w-]{43}$/.test(challenge)) {
    throw new OAuthError('invalid_request', 'code_challenge must be 43 characters of base64url');
  }
  return challenge;
}

function promptOf(parameters: Parameters): readonly Prompt[] {
  const values = parameters.get('prompt')?.split(' ') ?? [];
  const prompts = values.map((value) => PROMPTS.find((prompt) => prompt === value));
  if (prompts.includes(undefined)) throw new OAuthError('invalid_request', 'prompt has an unknown value');
  if (prompts.includes('none') && prompts.length > 1) {
    throw new OAuthError('invalid_request', 'prompt=none goes with no other value');
  }
  return prompts.filter((prompt) => prompt !== undefined);
}

function maxAgeOf(parameters: Parameters): number | undefined {
  const value = parameters.get('max_age');
  if (value === undefined) return undefined;
  if (!/^\d{1,10}$/.test(value))
    throw new OAuthError('invalid_request', 'max_age must be a whole number of seconds');
  return Number(value);
}
