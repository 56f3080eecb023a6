import { isScope, scopeValues } from '../clients/client';
import { OAuthError } from '../errors';

/** Which audiences may be asked for, and which one is meant when none is. */
export interface Audiences {
  readonly all: readonly string[];
  readonly default: string;
}

/**
 * The requested scope, which must be within what is allowed; all of that if none is requested (RFC 6749 §3.3).
 *
 * @throws OAuthError `invalid_scope`
 */
export function narrowedScope(requested: string | undefined, allowed: readonly string[]): readonly string[] {
  if (requested === undefined) return frozen(allowed);
  if (!isScope(requested)) throw new OAuthError('invalid_scope', 'scope is malformed');
  const values = scopeValues(requested);
  const excess = values.find((value) => !allowed.includes(value));
  if (excess !== undefined) throw new OAuthError('invalid_scope', `The scope ${excess} is not allowed here`);
  return frozen(values);
}

/**
 * The requested resources, which must be among the allowed ones; `otherwise` if none is requested (RFC 8707 §2).
 *
 * @throws OAuthError `invalid_target`
 */
export function narrowedResources(
  requested: readonly string[],
  allowed: readonly string[],
  otherwise: readonly string[] = allowed,
): readonly string[] {
  const resources = requested.length > 0 ? requested : otherwise;
  if (resources.length === 0 || resources.some((resource) => !allowed.includes(resource))) {
    throw new OAuthError('invalid_target', 'The resource is unknown or not allowed here');
  }
  return frozen(resources);
}

/** Hooks get them, and what they do to them must not reach the response. */
function frozen(values: readonly string[]): readonly string[] {
  return Object.freeze([...new Set(values)]);
}
