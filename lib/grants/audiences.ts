import { isScope, scopeValues, type Client } from '../clients/client';
import { OAuthError } from '../errors';
import type { Parameters } from '../http/parameters';
import type { AccessTokenFormat } from '../tokens/access-token';
import type { AccessTokenAlgorithm } from '../tokens/algorithms';
import type { Policy } from './policy';
import { CLAIMS_OF_SCOPE } from './user-claims';

/** A resource server that access tokens are for (RFC 8707). */
export interface ResourceOptions {
  /** The value of `resource` or `audience`, and `aud`: an absolute URI without a fragment. */
  identifier: string;
  /** The scope values that mean something there; tokens for it have no others. @defaultValue all */
  scopes?: readonly string[];
  /** Who may ask for tokens for it: any client, or those listed by id. @defaultValue `'any'` */
  clients?: 'any' | readonly string[];
  /** Seconds. @defaultValue the router's `accessTokenLifetime` */
  accessTokenLifetime?: Policy<number>;
  /** @defaultValue the router's `accessTokenFormat` */
  accessTokenFormat?: Policy<AccessTokenFormat>;
  /** The first signing key of it signs. @defaultValue that of the first signing key */
  signingAlgorithm?: AccessTokenAlgorithm;
  /** `'required'`: a token for it is given for a DPoP proof only. @defaultValue `'allowed'` */
  dpop?: 'allowed' | 'required';
}

/** Which audiences may be asked for, by whom, and for which scope. */
export interface Audiences {
  /** What a request asks for at first; the default audience if it names none. @throws OAuthError `invalid_target` */
  requested(parameters: Parameters, client: Client): readonly string[];
  /** What of a grant's resources a request asks for; all if it names none. @throws OAuthError `invalid_target` */
  narrowed(parameters: Parameters, client: Client, granted: readonly string[]): readonly string[];
  /** Resources that somebody else has chosen. @throws OAuthError `invalid_target` */
  checked(resources: readonly string[], client: Client): readonly string[];
  /**
   * The requested scope, which must be within what is allowed at the resources; all of that if none is requested
   * (RFC 6749 §3.3, RFC 8707 §2.2). @throws OAuthError `invalid_scope`
   */
  scope(
    requested: string | undefined,
    allowed: readonly string[],
    resources: readonly string[],
  ): readonly string[];
  /** Whether one token can be for all of them. @throws OAuthError `invalid_target` if not */
  refuseMultiple(resources: readonly string[]): void;
  /** Whether a token for one of them must be bound by DPoP. */
  requireDpop(resources: readonly string[]): boolean;
}

/** Scope values that are about the user and not about a resource (OpenID Connect Core §5.4 and §11). */
const UNIVERSAL_SCOPES = ['offline_access', ...Object.keys(CLAIMS_OF_SCOPE)];

export function audiences(options: {
  resources: readonly ResourceOptions[];
  defaultAudience: string;
  multiple: boolean;
  /** Without them `openid` means nothing. */
  hasIdTokens: boolean;
}): Audiences {
  const { defaultAudience, multiple, hasIdTokens } = options;
  const byIdentifier = new Map<string, ResourceOptions>([
    [defaultAudience, { identifier: defaultAudience }],
    ...options.resources.map((resource): [string, ResourceOptions] => [resource.identifier, resource]),
  ]);

  function isAllowed(identifier: string, { clientId }: Client): boolean {
    const resource = byIdentifier.get(identifier);
    if (!resource) return false;
    const { clients = 'any' } = resource;
    return clients === 'any' || clients.includes(clientId);
  }

  function checked(resources: readonly string[], client: Client): readonly string[] {
    if (resources.length === 0 || !resources.every((resource) => isAllowed(resource, client))) {
      throw new OAuthError('invalid_target', 'The resource is unknown or not allowed here');
    }
    return frozen(resources);
  }

  function requested(parameters: Parameters, client: Client): readonly string[] {
    const named = resourcesOf(parameters);
    return checked(named.length > 0 ? named : [defaultAudience], client);
  }

  function narrowed(parameters: Parameters, client: Client, granted: readonly string[]): readonly string[] {
    // What it may not have any more is not given: the options may have changed since.
    const allowed = granted.filter((resource) => isAllowed(resource, client));
    const named = resourcesOf(parameters);
    const resources = named.length > 0 ? named : allowed;
    return checked(resources.every((resource) => allowed.includes(resource)) ? resources : [], client);
  }

  function scope(
    requestedScope: string | undefined,
    allowed: readonly string[],
    resources: readonly string[],
  ): readonly string[] {
    const available = allowed.filter((value) => {
      if (value === 'openid') return hasIdTokens;
      const isThere = (resource: string): boolean =>
        byIdentifier.get(resource)?.scopes?.includes(value) ?? true;
      return UNIVERSAL_SCOPES.includes(value) || resources.some(isThere);
    });
    if (requestedScope === undefined) return frozen(available);
    if (!isScope(requestedScope)) throw new OAuthError('invalid_scope', 'scope is malformed');
    const values = scopeValues(requestedScope);
    const excess = values.find((value) => !available.includes(value));
    if (excess !== undefined)
      throw new OAuthError('invalid_scope', `The scope ${excess} is not allowed here`);
    return frozen(values);
  }

  function refuseMultiple(resources: readonly string[]): void {
    if (resources.length > 1 && !multiple) {
      throw new OAuthError('invalid_target', 'An access token is for one audience: ask for one resource');
    }
  }

  const requireDpop = (resources: readonly string[]): boolean =>
    resources.some((resource) => byIdentifier.get(resource)?.dpop === 'required');

  return { requested, narrowed, checked, scope, refuseMultiple, requireDpop };
}

/** `audience` and `resource` are two names of one thing. */
function resourcesOf(parameters: Parameters): readonly string[] {
  const audience = parameters.get('audience');
  const { resource } = parameters;
  if (audience === undefined) return resource;
  if (resource.some((value) => value !== audience)) {
    throw new OAuthError('invalid_target', 'audience and resource differ');
  }
  return [audience];
}

/** Hooks get them, and what they do to them must not reach the response. */
function frozen(values: readonly string[]): readonly string[] {
  return Object.freeze([...new Set(values)]);
}
