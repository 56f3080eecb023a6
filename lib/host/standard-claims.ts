import { scopeValues } from '../clients/client';

/** The claims that each standard scope value stands for (OpenID Connect Core §5.4). */
export const CLAIMS_OF_SCOPE: Readonly<Record<string, readonly string[]>> = {
  profile: scopeValues(
    'name family_name given_name middle_name nickname preferred_username profile picture website gender birthdate ' +
      'zoneinfo locale updated_at',
  ),
  email: ['email', 'email_verified'],
  address: ['address'],
  phone: ['phone_number', 'phone_number_verified'],
};
export const STANDARD_CLAIMS: readonly string[] = Object.values(CLAIMS_OF_SCOPE).flat();

/** Single claims that an authorization request asked for (OpenID Connect Core §5.5). */
export interface RequestedClaims {
  readonly idToken: readonly string[];
  readonly userinfo: readonly string[];
}

/** Removes the language tag of a claim: `name#ja` is the claim `name` (OpenID Connect Core §5.2). */
export function withoutLanguage(name: string): string {
  return name.split('#', 1)[0] ?? '';
}

export function isStandardClaim(name: string): boolean {
  return STANDARD_CLAIMS.includes(withoutLanguage(name));
}

export function claimsOfScope(scope: string): readonly string[] {
  return Object.hasOwn(CLAIMS_OF_SCOPE, scope) ? (CLAIMS_OF_SCOPE[scope] ?? []) : [];
}

/** Returns the scope values that single claims belong to: a user who allows the claims allows these values. */
export function scopeOfClaims({ idToken, userinfo }: RequestedClaims): readonly string[] {
  const names = [...idToken, ...userinfo].map(withoutLanguage);
  return Object.keys(CLAIMS_OF_SCOPE).filter((scope) =>
    claimsOfScope(scope).some((name) => names.includes(name)),
  );
}

/** Narrows requested claims to those whose scope value is allowed. */
export function allowedClaims(requested: RequestedClaims, scope: readonly string[]): RequestedClaims {
  const isAllowed = (name: string): boolean =>
    scope.some((value) => claimsOfScope(value).includes(withoutLanguage(name)));
  return { idToken: requested.idToken.filter(isAllowed), userinfo: requested.userinfo.filter(isAllowed) };
}
