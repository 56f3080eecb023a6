import { isScope, scopeValues } from '../clients/client';
import { OAuthError } from '../errors';

/**
 * The requested scope, which must be within what is allowed; all of that if none is requested (RFC 6749 §3.3).
 *
 * @throws OAuthError `invalid_scope`
 */
export function narrowedScope(requested: string | undefined, allowed: readonly string[]): readonly string[] {
  if (requested === undefined) return allowed;
  if (!isScope(requested)) throw new OAuthError('invalid_scope', 'scope is malformed');
  const values = scopeValues(requested);
  const excess = values.find((value) => !allowed.includes(value));
  if (excess !== undefined) throw new OAuthError('invalid_scope', `The scope ${excess} is not allowed here`);
  return values;
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
  if (requested.length === 0) return otherwise;
  const unknown = requested.find((resource) => !allowed.includes(resource));
  if (unknown !== undefined)
    throw new OAuthError('invalid_target', 'The resource is unknown or not allowed here');
  return [...new Set(requested)];
}
