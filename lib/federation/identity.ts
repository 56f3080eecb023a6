import { isEpochSeconds } from '../host/user';
import type { ClaimNames } from './provider';

/** A user as a provider describes them. */
export interface ProviderIdentity {
  /** The provider's id in the options. */
  readonly providerId: string;
  /** `iss` of the ID token, which may differ between the tenants of one provider; for plain OAuth 2.0 the configured issuer. */
  readonly issuer: string | undefined;
  /** The user's id at the provider. Identify a user by provider, issuer and subject, and by nothing else. */
  readonly subject: string;
  /** The e-mail address. */
  readonly email: string | undefined;
  /**
   * Whether the address belongs to the user: the provider says so, and has `trustEmailVerified`. Never trust an address that is not
   * verified.
   */
  readonly emailVerified: boolean;
  /** The full name. */
  readonly name: string | undefined;
  /** The user name. */
  readonly username: string | undefined;
  /** The picture's URL. */
  readonly picture: string | undefined;
  /** When the user last proved their identity, if the provider says so in seconds. Epoch seconds. */
  readonly authTime: number | undefined;
  /** The authentication context class. */
  readonly acr: string | undefined;
  /** The authentication methods. */
  readonly amr: readonly string[] | undefined;
  /** All claims from the provider. */
  readonly claims: Readonly<Record<string, unknown>>;
}

type Claims = Readonly<Record<string, unknown>>;

/** Reads an identity from a provider's claims. @throws Error if there is no subject */
export function identityOf(
  providerId: string,
  claims: Claims,
  {
    issuer,
    names,
    trustEmailVerified,
  }: { issuer: string | undefined; names: Required<ClaimNames>; trustEmailVerified: boolean },
): ProviderIdentity {
  const subject = at(claims, names.subject);
  if ((typeof subject !== 'string' || subject === '') && !Number.isSafeInteger(subject)) {
    throw new Error('the response of the provider does not identify a user');
  }
  const verified = at(claims, names.emailVerified);
  const email = text(at(claims, names.email));
  const { auth_time: authTime, acr, amr } = claims;
  return Object.freeze({
    providerId,
    issuer,
    subject: String(subject),
    email,
    // Some providers write it as a string.
    emailVerified: email !== undefined && trustEmailVerified && (verified === true || verified === 'true'),
    name: text(at(claims, names.name)),
    username: text(at(claims, names.username)),
    picture: text(at(claims, names.picture)),
    authTime: isEpochSeconds(authTime) ? Math.floor(authTime) : undefined,
    acr: text(acr),
    amr: Array.isArray(amr) ? amr.filter((method) => typeof method === 'string') : undefined,
    claims,
  });
}

/** Returns the user's address from a list: the primary address if it is verified, otherwise any verified one. */
export function verifiedEmail(list: unknown): string | undefined {
  const entries = Array.isArray(list) ? (list as Partial<Record<string, unknown>>[]) : [];
  const verified = entries.filter((entry) => entry.verified === true && text(entry.email) !== undefined);
  return text((verified.find(({ primary }) => primary === true) ?? verified[0])?.email);
}

/** Returns the member at a path, whose parts are the names of members or positions in lists. */
function at(claims: Claims, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>(
      (value, name) =>
        typeof value === 'object' && value !== null && Object.hasOwn(value, name)
          ? (value as Claims)[name]
          : undefined,
      claims,
    );
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
