import { invalidRequest, type OAuthError } from '../errors';
import { isStandardClaim, type RequestedClaims } from '../host/standard-claims';
import { isJsonObject, parseJson } from '../json';

/** The contents of the `claims` parameter. */
export interface ClaimsParameter extends RequestedClaims {
  /** The values of `acr` of which one is required; empty if none is (OpenID Connect Core §5.5.1.1). */
  readonly essentialAcr: readonly string[];
  /** The required user: `sub` must be in every list (OpenID Connect Core §3.1.2.2). */
  readonly subs: readonly (readonly string[])[];
}

const NO_CLAIMS: ClaimsParameter = { idToken: [], userinfo: [], essentialAcr: [], subs: [] };

/** Reads the `claims` parameter. @throws OAuthError `invalid_request` @see OpenID Connect Core §5.5 */
export function claimsParameter(value: string | undefined): ClaimsParameter {
  if (value === undefined) return NO_CLAIMS;
  const parsed = parseJson(value);
  if (parsed === undefined) throw malformed();
  const { id_token: idToken, userinfo } = optionalObject(parsed);
  const inIdToken = optionalObject(idToken);
  const inUserinfo = optionalObject(userinfo);
  const acr = optionalObject(inIdToken.acr);
  const subs = [inIdToken.sub, inUserinfo.sub].map((sub) => valuesOf(optionalObject(sub)));
  return {
    idToken: Object.keys(inIdToken).filter(isStandardClaim),
    userinfo: Object.keys(inUserinfo).filter(isStandardClaim),
    essentialAcr: acr.essential === true ? valuesOf(acr) : [],
    subs: subs.filter((values) => values.length > 0),
  };
}

/** OpenID Connect Core §5.5.1 */
function valuesOf({ value, values }: Record<string, unknown>): readonly string[] {
  return [value, values].flat().filter((single) => typeof single === 'string');
}

/** Returns a request as an object. One that is `null` or missing is empty. */
function optionalObject(value: unknown): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (!isJsonObject(value)) throw malformed();
  return value;
}

function malformed(): OAuthError {
  return invalidRequest('claims is malformed');
}
