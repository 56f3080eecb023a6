import type { Client } from '../clients/client';
import { matchesRedirectUri, redirectUriFault } from '../clients/redirect-uris';
import type { ClientRegistry } from '../clients/registry';
import { OAuthError } from '../errors';
import { narrowedResources, narrowedScope, type Audiences } from '../grants/narrowing';
import type { GrantContext } from '../grants/policy';
import type { OAuthUser } from '../grants/user';
import { refuseFaults, type Parameters } from '../http/parameters';

/** Where the answer to an authorization request may go: proven to be the client's. */
export interface RedirectTarget {
  readonly client: Client;
  readonly redirectUri: string;
  readonly redirectUriGiven: boolean;
  readonly state: string | undefined;
}

/** What is read of a request: the rest is ignored (RFC 6749 §3.1). */
export const REQUEST_PARAMETERS: readonly string[] = [
  'client_id',
  'code_challenge',
  'code_challenge_method',
  'login_hint',
  'max_age',
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
];

const PROMPTS = ['none', 'login', 'consent', 'select_account'] as const;
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
  readonly authTime: number | undefined;
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
  { allowHttp }: { allowHttp: boolean },
): Promise<RedirectTarget> {
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
  if (!own || redirectUriFault(redirectUri, { allowHttp })) {
    throw new OAuthError('invalid_request', 'redirect_uri is not registered for this client', {
      reason: 'redirect_uri',
    });
  }
  return { client, redirectUri, redirectUriGiven: given !== undefined, state: parameters.get('state') };
}

/** RFC 6749 §3.1.2.3: it may be left out if there is just one. */
function onlyRedirectUri({ redirectUris }: Client): string {
  const [only, ...others] = redirectUris;
  if (only === undefined || others.length > 0)
    throw new OAuthError('invalid_request', 'redirect_uri is missing');
  return only;
}

/**
 * Everything else in the request. Whatever is wrong here goes to the client.
 *
 * @see RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2, OpenID Connect Core §3.1.2.1
 */
export function authorizationRequest(
  target: RedirectTarget,
  parameters: Parameters,
  audiences: Audiences,
): AuthorizationRequest {
  refuseFaults(parameters);
  const { client } = target;
  refuseUnsupported(parameters);
  if (!client.grantTypes.includes('authorization_code')) {
    throw new OAuthError('unauthorized_client', 'The client is not registered for authorization_code');
  }
  return {
    ...target,
    codeChallenge: codeChallenge(parameters, client),
    scope: narrowedScope(parameters.get('scope'), client.scope),
    resources: narrowedResources(parameters.resource, audiences.all, [audiences.default]),
    prompt: promptOf(parameters),
    maxAge: maxAgeOf(parameters),
    loginHint: parameters.get('login_hint'),
  };
}

function refuseUnsupported(parameters: Parameters): void {
  const responseType = parameters.get('response_type');
  if (responseType === undefined) throw new OAuthError('invalid_request', 'response_type is missing');
  if (responseType !== 'code')
    throw new OAuthError('unsupported_response_type', 'The response_type must be code');
  const responseMode = parameters.get('response_mode') ?? 'query';
  if (responseMode !== 'query') throw new OAuthError('invalid_request', 'The response_mode must be query');
  // OpenID Connect Core §6: one who relies on them must not be answered as if they were not there.
  if (parameters.get('request')) throw new OAuthError('request_not_supported', 'request is not supported');
  if (parameters.get('request_uri'))
    throw new OAuthError('request_uri_not_supported', 'request_uri is not supported');
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
