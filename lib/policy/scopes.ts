import { isScope, mayHaveScope, OFFLINE_ACCESS, scopeValues, type Client } from '../clients/client';
import { invalidScope } from '../errors';
import { CLAIMS_OF_SCOPE } from '../host/standard-claims';

/** What happens to requested scope values that nothing here knows: they are an error, or left out. */
export type UnknownScopes = 'refuse' | 'drop';

/** Scope values that concern the user and not a resource (OpenID Connect Core §5.4 and §11). */
const UNIVERSAL_SCOPES = [OFFLINE_ACCESS, ...Object.keys(CLAIMS_OF_SCOPE)];
/** Scope values that have no meaning without a user. */
export const USER_SCOPES: readonly string[] = ['openid', ...UNIVERSAL_SCOPES];

/** Decides which scope values a client may request. */
export interface ScopeChecks {
  /** Checks the scope that a client requests for a new grant. @throws OAuthError `invalid_scope` */
  requestedScope(
    requested: string | undefined,
    client: Client,
    resources: readonly string[],
  ): readonly string[];
  /** Checks the scope that the host has decided about: a value that is unknown is never left out. @throws OAuthError `invalid_scope` */
  decidedScope(decided: string, client: Client, resources: readonly string[]): readonly string[];
  /**
   * Checks that the requested scope is allowed at the resources. If no scope is requested, returns all allowed values (RFC 6749
   * §3.3, RFC 8707 §2.2). `offline_access` is never an error.
   * @throws OAuthError `invalid_scope`
   */
  scope(
    requested: string | undefined,
    allowed: readonly string[],
    resources: readonly string[],
  ): readonly string[];
}

export function createScopeChecks(options: {
  /** Without ID tokens `openid` has no meaning. */
  hasIdTokens: boolean;
  /** The scope values that the host knows. */
  knownScopes: ReadonlySet<string>;
  unknownScopes: UnknownScopes;
  /** Whether a scope value exists at a resource. */
  existsAt: (value: string, resource: string) => boolean;
}): ScopeChecks {
  const { hasIdTokens, knownScopes, unknownScopes, existsAt } = options;

  function isAvailable(value: string, resources: readonly string[]): boolean {
    if (value === 'openid') return hasIdTokens;
    return UNIVERSAL_SCOPES.includes(value) || resources.some((resource) => existsAt(value, resource));
  }

  function scope(
    requestedScope: string | undefined,
    allowed: readonly string[],
    resources: readonly string[],
  ): readonly string[] {
    const available = allowed.filter((value) => isAvailable(value, resources));
    // Blanks around and between values are forgiven: some libraries join lists that have empty entries.
    const given = scopeValues(requestedScope);
    if (given.length > 0 && !isScope(given.join(' '))) throw invalidScope('scope is malformed');
    // Where there are no refresh tokens, it has no meaning, and is no mistake (OpenID Connect Core §11).
    const values = given.filter((value) => value !== OFFLINE_ACCESS || available.includes(value));
    if (values.length === 0) return frozen(available);
    const excess = values.find((value) => !available.includes(value));
    if (excess === undefined) return frozen(values);
    const hint = excess.includes(',') ? ': separate scope values by spaces' : '';
    // The sender chose the value, which may be shown on a page.
    const named = /^[\w:./,-]{1,60}$/.test(excess) ? ` ${excess}` : '';
    throw invalidScope(`The scope${named} is not allowed here${hint}`);
  }

  function requestedScope(
    requested: string | undefined,
    client: Client,
    resources: readonly string[],
  ): readonly string[] {
    const isKnown = (value: string): boolean => knownScopes.has(value) || mayHaveScope(client, value);
    const given = scopeValues(requested);
    const values = unknownScopes === 'drop' ? given.filter(isKnown) : given;
    // What is allowed by name only is allowed where it is named.
    const named = values.filter((value) => mayHaveScope(client, value));
    const isEmptied = values.length < given.length && values.every((value) => value === OFFLINE_ACCESS);
    return isEmptied
      ? frozen([...scope(undefined, client.scope, resources), ...named])
      : scope(values.join(' '), [...client.scope, ...named], resources);
  }

  function decidedScope(decided: string, client: Client, resources: readonly string[]): readonly string[] {
    const optional = scopeValues(decided).filter((value) => mayHaveScope(client, value));
    return scope(decided, [...client.scope, ...optional], resources);
  }

  return { requestedScope, decidedScope, scope };
}

/** Freezes a list, because hooks receive it and must not change the response. */
export function frozen(values: readonly string[]): readonly string[] {
  return Object.freeze([...new Set(values)]);
}
