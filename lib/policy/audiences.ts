import type { Client } from '../clients/client';
import { invalidTarget } from '../errors';
import type { Policy } from '../host/grant-context';
import type { Parameters } from '../http/parameters';
import type { AccessTokenFormat, AccessTokenType } from '../tokens/access-token';
import type { AccessTokenAlgorithm } from '../tokens/algorithms';
import { createScopeChecks, frozen, type ScopeChecks, type UnknownScopes } from './scopes';

/** A resource server that access tokens are issued for (RFC 8707). */
export interface ResourceOptions {
  /** The value of `resource` or `audience`, and of `aud`: an absolute URI without a fragment. */
  identifier: string;
  /** Its name, in its metadata (RFC 9728 §2). @defaultValue none */
  name?: string;
  /** A page about it for developers, in its metadata. @defaultValue none */
  documentationUri?: string;
  /** The scope values that exist there; tokens for it have no others, except those of OpenID Connect. @defaultValue all */
  scopes?: readonly string[];
  /** The clients that may request tokens for it: any, or a list of client ids. @defaultValue `'any'` */
  clients?: 'any' | readonly string[];
  /** Seconds. @defaultValue the router's `lifetimes.accessToken` */
  accessTokenLifetime?: Policy<number>;
  /** The form of its access tokens. @defaultValue the router's `accessTokenFormat` */
  accessTokenFormat?: Policy<AccessTokenFormat>;
  /** The algorithm of its access tokens; the first signing key for it signs. @defaultValue that of the first signing key */
  signingAlgorithm?: AccessTokenAlgorithm;
  /**
   * `typ` of its access tokens, if they are JWTs: `'JWT'` is for resource servers that know no other, such as Spring's by default.
   * @defaultValue `'at+jwt'` (RFC 9068 §2.1)
   */
  accessTokenType?: AccessTokenType;
  /** `'required'` issues tokens for it only with a DPoP proof. @defaultValue `'allowed'` */
  dpop?: 'allowed' | 'required';
}

/** {@link ResourceOptions} with every default filled in. */
export interface ResolvedResource extends ResourceOptions {
  readonly clients: 'any' | readonly string[];
  readonly accessTokenType: AccessTokenType;
  readonly dpop: 'allowed' | 'required';
}

export function resolveResource(resource: string | ResourceOptions): ResolvedResource {
  const given: ResourceOptions = typeof resource === 'string' ? { identifier: resource } : resource;
  return {
    ...given,
    clients: given.clients ?? 'any',
    accessTokenType: given.accessTokenType ?? 'at+jwt',
    dpop: given.dpop ?? 'allowed',
  };
}

/** Decides which audiences and scope values a client may request. */
export interface Audiences extends ScopeChecks {
  readonly defaultAudience: string;
  /** Returns the resources that a request names, or the default audience. @throws OAuthError `invalid_target` */
  requested(parameters: Parameters, client: Client): readonly string[];
  /**
   * Narrows a grant's resources to those that a request names; if it names none, returns all that are still allowed.
   * @throws OAuthError `invalid_target`
   */
  narrowed(parameters: Parameters, client: Client, granted: readonly string[]): readonly string[];
  /** Returns the registered form of an identifier, or the identifier itself. */
  registered(identifier: string): string;
  /** Whether tokens for an audience are issued here. */
  isKnown(audience: string): boolean;
  /** Checks resources that a host's function has chosen. @throws OAuthError `invalid_target` */
  checked(resources: readonly string[], client: Client): readonly string[];
  /** Refuses one token for several resources, unless that is allowed. @throws OAuthError `invalid_target` */
  refuseMultiple(resources: readonly string[]): void;
  /** Whether a token for one of the resources must be bound by DPoP. */
  requireDpop(resources: readonly string[]): boolean;
}

export function createAudiences(options: {
  resources: readonly ResolvedResource[];
  defaultAudience: string;
  multipleAudiences: boolean;
  /** Without ID tokens `openid` has no meaning. */
  hasIdTokens: boolean;
  /** The scope values that the host knows. */
  knownScopes: ReadonlySet<string>;
  unknownScopes: UnknownScopes;
}): Audiences {
  const { defaultAudience, multipleAudiences } = options;
  const { byIdentifier, registered } = indexed([resolveResource(defaultAudience), ...options.resources]);

  function isAllowed(identifier: string, { clientId }: Client): boolean {
    const resource = byIdentifier.get(identifier);
    return resource !== undefined && (resource.clients === 'any' || resource.clients.includes(clientId));
  }

  function checked(given: readonly string[], client: Client): readonly string[] {
    const resources = given.map(registered);
    if (resources.length === 0 || !resources.every((resource) => isAllowed(resource, client))) {
      throw invalidTarget('The resource is unknown or not allowed here');
    }
    return frozen(resources);
  }

  function requested(parameters: Parameters, client: Client): readonly string[] {
    const named = namedResources(parameters, registered);
    return checked(named.length > 0 ? named : [defaultAudience], client);
  }

  function narrowed(parameters: Parameters, client: Client, granted: readonly string[]): readonly string[] {
    // The options may have changed since the grant was made.
    const allowed = granted.filter((resource) => isAllowed(resource, client));
    const named = namedResources(parameters, registered);
    const resources = named.length > 0 ? named : allowed;
    return checked(resources.every((resource) => allowed.includes(resource)) ? resources : [], client);
  }

  const scopeChecks = createScopeChecks({
    ...options,
    existsAt: (value, resource) => byIdentifier.get(resource)?.scopes?.includes(value) ?? true,
  });

  function refuseMultiple(resources: readonly string[]): void {
    if (resources.length > 1 && !multipleAudiences) {
      throw invalidTarget('An access token is for one audience: request one resource');
    }
  }

  const requireDpop = (resources: readonly string[]): boolean =>
    resources.some((resource) => byIdentifier.get(resource)?.dpop === 'required');

  return {
    defaultAudience,
    registered,
    isKnown: (audience) => byIdentifier.has(audience),
    requested,
    narrowed,
    checked,
    refuseMultiple,
    requireDpop,
    ...scopeChecks,
  };
}

/** Finds resources by their identifier, and the registered form of an identifier. */
function indexed(resources: readonly ResolvedResource[]) {
  const byIdentifier = new Map(resources.map((resource) => [resource.identifier, resource]));
  const byUrl = new Map(
    [...byIdentifier.keys()].map((identifier) => [comparableUrl(identifier), identifier]),
  );
  const registered = (identifier: string): string =>
    byIdentifier.has(identifier) ? identifier : (byUrl.get(comparableUrl(identifier)) ?? identifier);
  return { byIdentifier, registered };
}

/** Returns the resources that a request names: `audience` and `resource` are two names for the same parameter. */
function namedResources(
  parameters: Parameters,
  registered: (identifier: string) => string,
): readonly string[] {
  const given = parameters.get('audience');
  const resource = parameters.resource.map(registered);
  if (given === undefined) return resource;
  const audience = registered(given);
  if (resource.some((value) => value !== audience)) throw invalidTarget('audience and resource differ');
  return [audience];
}

/**
 * Normalizes a URL as in RFC 3986 §6.2.2 and §6.2.3: `https://api.example.com`, `https://API.example.com/` and
 * `https://api.example.com:443/` are the same. Any other identifier is compared exactly.
 */
export function comparableUrl(identifier: string): string {
  return /^https?:/i.test(identifier) && URL.canParse(identifier) ? new URL(identifier).href : identifier;
}
