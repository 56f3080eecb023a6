import { OFFLINE_ACCESS, type Client } from '../clients/client';
import { CLAIMS_OF_SCOPE } from '../host/standard-claims';
import type { ResolvedResource } from './audiences';

/**
 * Returns the scope values that a client may request which nobody here has registered: those of OpenID Connect, and those that the host
 * has described, for the consent page or with a resource.
 */
export function selfAssertedScopeOf({
  scopes,
  resources,
  hasIdTokens,
}: {
  scopes: Readonly<Record<string, string>>;
  resources: readonly ResolvedResource[];
  hasIdTokens: boolean;
}): readonly string[] {
  const described = [...Object.keys(scopes), ...resources.flatMap((resource) => resource.scopes ?? [])];
  const ofOpenid = hasIdTokens ? ['openid', ...Object.keys(CLAIMS_OF_SCOPE)] : [];
  return [...new Set([...described, ...ofOpenid])].filter((value) => value !== OFFLINE_ACCESS);
}

/** Returns the scope values that exist here, apart from those of adapters' clients. */
export function knownScopesOf({
  scopes,
  resources,
  clients,
  hasIdTokens,
}: {
  /** Descriptions of scope values. */
  scopes: Readonly<Record<string, string>>;
  resources: readonly ResolvedResource[];
  /** The clients of the options. */
  clients: readonly { readonly client: Client }[];
  hasIdTokens: boolean;
}): ReadonlySet<string> {
  return new Set([
    ...(hasIdTokens ? ['openid'] : []),
    ...Object.keys(scopes),
    ...clients.flatMap(({ client }) => [...client.scope, ...client.optionalScope]),
    ...resources.flatMap((resource) => resource.scopes ?? []),
    OFFLINE_ACCESS,
  ]);
}
