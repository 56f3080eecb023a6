import { scopeValues, type Client } from '../clients/client';
import { OAuthError, serverError } from '../errors';
import { refusePromises } from '../hooks';
import type { ClaimsHook } from './token-issuer';

/** The claims that the standard scope values stand for (OpenID Connect Core §5.4). */
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

/** What the protocol says in ID tokens and at userinfo: a host's function has no say in it. */
const PROTOCOL_CLAIMS = scopeValues(
  'iss sub aud exp nbf iat jti auth_time nonce acr amr azp sid at_hash c_hash s_hash cnf events',
);

/** Single claims that an authorization request asked for (OpenID Connect Core §5.5). */
export interface RequestedClaims {
  readonly idToken: readonly string[];
  readonly userinfo: readonly string[];
}

/** What the `claims` parameter says. */
export interface ClaimsParameter extends RequestedClaims {
  /** The values of `acr` of which one is needed, none if it is not (§5.5.1.1). */
  readonly essentialAcr: readonly string[];
  /** Who the user must be: one of each list (OpenID Connect Core §3.1.2.2). */
  readonly subs: readonly (readonly string[])[];
}

const NOTHING: ClaimsParameter = { idToken: [], userinfo: [], essentialAcr: [], subs: [] };

/** @throws OAuthError `invalid_request` */
export function claimsParameter(value: string | undefined): ClaimsParameter {
  if (value === undefined) return NOTHING;
  const { id_token: idToken = {}, userinfo = {} } = jsonObject(value);
  const inIdToken = memberObject(idToken);
  const inUserinfo = memberObject(userinfo);
  const acr = memberObject(inIdToken.acr ?? {});
  const subs = [inIdToken.sub, inUserinfo.sub].map((sub) => valuesOf(memberObject(sub ?? {})));
  return {
    idToken: Object.keys(inIdToken).filter(isStandard),
    userinfo: Object.keys(inUserinfo).filter(isStandard),
    essentialAcr: acr.essential === true ? valuesOf(acr) : [],
    subs: subs.filter((values) => values.length > 0),
  };
}

/** Core §5.5.1 */
function valuesOf({ value, values }: Record<string, unknown>): readonly string[] {
  return [value, values].flat().filter((single) => typeof single === 'string');
}

/** A claim may be in a language of its own, `name#ja` (Core §5.2), and is the same claim then. */
function withoutLanguage(name: string): string {
  return name.split('#', 1)[0] ?? '';
}

function isStandard(name: string): boolean {
  return STANDARD_CLAIMS.includes(withoutLanguage(name));
}

function jsonObject(text: string): Record<string, unknown> {
  try {
    return memberObject(JSON.parse(text));
  } catch {
    throw malformed();
  }
}

function memberObject(value: unknown): Record<string, unknown> {
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw malformed();
  return value as Record<string, unknown>;
}

function malformed(): OAuthError {
  return new OAuthError('invalid_request', 'claims is malformed');
}

/** The scope values that stand for single claims: who allows them allows these. */
export function scopeOfClaims({ idToken, userinfo }: RequestedClaims): readonly string[] {
  const names = [...idToken, ...userinfo].map(withoutLanguage);
  return Object.keys(CLAIMS_OF_SCOPE).filter((scope) =>
    CLAIMS_OF_SCOPE[scope]?.some((name) => names.includes(name)),
  );
}

/** Those of the requested claims whose scope was allowed. */
export function allowedClaims(requested: RequestedClaims, scope: readonly string[]): RequestedClaims {
  const isAllowed = (name: string): boolean =>
    scope.some((value) => claimsOf(value).includes(withoutLanguage(name)));
  return { idToken: requested.idToken.filter(isAllowed), userinfo: requested.userinfo.filter(isAllowed) };
}

/** Whose claims are asked for, and where they will stand. */
export interface UserClaimsContext<User> {
  /** What `loadUser` gave; `undefined` without it. */
  readonly user: User | undefined;
  readonly userId: string;
  readonly client: Client;
  readonly scope: readonly string[];
  readonly target: 'id_token' | 'userinfo';
}

/**
 * All claims of a user. Those of OpenID Connect Core §5.1 are shown as the scope and the `claims` parameter allow: at
 * userinfo, and in ID tokens the ones that were asked for there. Any other is shown wherever it is given.
 */
export type UserClaimsHook<User> = (context: UserClaimsContext<User>) => ReturnType<ClaimsHook<User>>;

/** The claims of a user that a client may see. */
export type UserClaims<User> = (
  context: UserClaimsContext<User> & { requested: readonly string[] },
) => Promise<Readonly<Record<string, unknown>>>;

export function userClaims<User>(hook: UserClaimsHook<User> | undefined): UserClaims<User> {
  return async ({ requested, ...context }) => {
    const given = (await hook?.(context)) ?? {};
    refusePromises(given, 'userClaims');
    const reserved = PROTOCOL_CLAIMS.find((name) => Object.hasOwn(given, name));
    if (reserved) throw serverError(new Error(`userClaims must not set ${reserved}`));
    const ofScope = context.target === 'userinfo' ? context.scope : [];
    const visible = [...ofScope.flatMap((value) => claimsOf(value)), ...requested];
    return Object.fromEntries(
      Object.entries(given).filter(
        ([name, value]) =>
          value !== undefined &&
          value !== null &&
          (visible.includes(name) || visible.includes(withoutLanguage(name)) || !isStandard(name)),
      ),
    );
  };
}

function claimsOf(scope: string): readonly string[] {
  return Object.hasOwn(CLAIMS_OF_SCOPE, scope) ? (CLAIMS_OF_SCOPE[scope] ?? []) : [];
}
