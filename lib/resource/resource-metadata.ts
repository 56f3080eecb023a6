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
  /** Returns the metadata at a path of the origin's root, if there is any. */
  at(path: string): object | undefined;
}

/** RFC 9728 §3 */
const WELL_KNOWN_PATH = '/.well-known/oauth-protected-resource';

/**
 * Describes resources. The metadata is at the path-inserted form of each identifier; at the plain form is that of the origin itself, or
 * else of the first resource, for clients that look nowhere else.
 *
 * @see RFC 9728 §2 and §3.1
 */
export function createResourceMetadata(
  resources: readonly DescribedResource[],
  issuer: string,
): ResourceMetadata {
  const described = resources.filter(({ identifier }) => /^https?:\/\//i.test(identifier));
  const { origin } = new URL(issuer);
  const isOwn = ({ identifier }: DescribedResource): boolean => new URL(identifier).origin === origin;
  const documents = new Map<string, object>();
  const add = (path: string, resource: DescribedResource): void => {
    if (!documents.has(path)) documents.set(path, documentOf(resource, issuer));
  };
  // Resources on different hosts may have the same path: those on this host come first.
  for (const group of [described.filter(isOwn), described.filter((resource) => !isOwn(resource))]) {
    for (const resource of group) {
      const path = pathOf(resource.identifier);
      // Clients remove a slash at the end before they look (RFC 9728 §3.1).
      add(WELL_KNOWN_PATH + path, resource);
      add(WELL_KNOWN_PATH + path.replace(/\/$/, ''), resource);
    }
    if (group[0]) add(WELL_KNOWN_PATH, group[0]);
  }

  const urls = new Map(described.map(({ identifier }) => [identifier, urlOf(identifier)]));
  return { urlOf: (audience) => urls.get(audience), at: (path) => documents.get(path) };
}

/** Returns the path of a URL; the root has none. */
function pathOf(identifier: string): string {
  const { pathname } = new URL(identifier);
  return pathname === '/' ? '' : pathname;
}

function urlOf(identifier: string): string {
  const { origin, search } = new URL(identifier);
  return origin + WELL_KNOWN_PATH + pathOf(identifier) + search;
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
