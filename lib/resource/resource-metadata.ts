import { VERIFICATION_ALGORITHMS } from '../tokens/algorithms';

/** A resource server, as its metadata describes it. */
export interface DescribedResource {
  /** `resource`: its identifier, which is a URL if it has metadata. */
  readonly identifier: string;
  /** `resource_name`. */
  readonly name?: string | undefined;
  /** `resource_documentation`: a page for developers. */
  readonly documentationUri?: string | undefined;
  /** `scopes_supported`. */
  readonly scopes?: readonly string[] | undefined;
  /** Whether its access tokens must be bound by DPoP. */
  readonly requiresDpop: boolean;
}

/** The metadata of protected resources, by which a client that knows nothing but a URL finds the authorization server. */
export interface ResourceMetadata {
  /** Returns the URL of an audience's metadata; `undefined` for an audience that is not an http URL. */
  urlOf(audience: string): string | undefined;
  /**
   * Returns the metadata at a path, with its query, of a host. An app may serve several hosts: of those in the identifiers, `host` chooses
   * one, and any other value means that of the issuer.
   */
  at(target: string, host: string | undefined): object | undefined;
}

/** RFC 9728 §3 */
const WELL_KNOWN_PATH = '/.well-known/oauth-protected-resource';

/**
 * Describes resources. The metadata is at the path-inserted form of each identifier; at the plain form is that of the origin itself, or
 * else of the first resource there, for clients that look nowhere else.
 *
 * @see RFC 9728 §2 and §3.1
 */
export function createResourceMetadata(
  resources: readonly DescribedResource[],
  issuer: string,
): ResourceMetadata {
  const described = resources.filter(({ identifier }) => isHttpUrl(identifier));
  const hosts = new Map<string, Map<string, object>>();
  for (const resource of described) {
    const { host } = new URL(resource.identifier);
    hosts.set(host, hosts.get(host) ?? documentsAt(host, described, issuer));
  }
  // A proxy may have changed the name of the host: then the one of the issuer counts, or the only one there is.
  const [only] = hosts.values();
  const fallback = hosts.get(new URL(issuer).host) ?? only;
  const urls = new Map(described.map(({ identifier }) => [identifier, urlOf(identifier)]));
  return {
    urlOf: (audience) => urls.get(audience),
    at: (target, host = '') => (hosts.get(host) ?? fallback)?.get(target),
  };
}

/** Returns the documents of a host, by path and query. */
function documentsAt(
  host: string,
  described: readonly DescribedResource[],
  issuer: string,
): Map<string, object> {
  const here = described.filter(({ identifier }) => new URL(identifier).host === host);
  const exact = here.map((resource) => [placeOf(resource.identifier), resource] as const);
  // Clients remove a slash at the end before they look (RFC 9728 §3.1).
  const aliases = exact.map(([place, resource]) => [place.replace(/\/$/, ''), resource] as const);
  const root = here.slice(0, 1).map((resource) => ['', resource] as const);
  const documents = new Map<string, object>();
  for (const [place, resource] of [...exact, ...aliases, ...root])
    if (!documents.has(WELL_KNOWN_PATH + place))
      documents.set(WELL_KNOWN_PATH + place, documentOf(resource, issuer));
  return documents;
}

function isHttpUrl(identifier: string): boolean {
  return /^https?:\/\//i.test(identifier) && URL.canParse(identifier) && !identifier.includes('#');
}

/** Returns the path and the query of a URL; the root has none. */
function placeOf(identifier: string): string {
  const { pathname, search } = new URL(identifier);
  return (pathname === '/' ? '' : pathname) + search;
}

function urlOf(identifier: string): string {
  return new URL(identifier).origin + WELL_KNOWN_PATH + placeOf(identifier);
}

function documentOf(resource: DescribedResource, issuer: string): object {
  const { identifier, name, documentationUri, scopes, requiresDpop } = resource;
  return {
    resource: identifier,
    authorization_servers: [issuer],
    ...(name !== undefined && { resource_name: name }),
    ...(documentationUri !== undefined && { resource_documentation: documentationUri }),
    ...(scopes && scopes.length > 0 && { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: VERIFICATION_ALGORITHMS,
    ...(requiresDpop && { dpop_bound_access_tokens_required: true }),
  };
}
