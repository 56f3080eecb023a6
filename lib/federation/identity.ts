import type { ClaimNames } from './provider';

/** Who a provider says its user is. */
export interface ProviderIdentity {
  /** The provider's name in the options. */
  readonly providerId: string;
  /** `iss` of its ID token, which differs from user to user where a provider has tenants; else what the options say. */
  readonly issuer: string | undefined;
  /** The user's id there: together with the provider, and its issuer, the one thing to know a user by. */
  readonly subject: string;
  readonly email: string | undefined;
  /** Whether the provider says that the address is the user's: never take one that is not for anybody's. */
  readonly emailVerified: boolean;
  readonly name: string | undefined;
  readonly username: string | undefined;
  readonly picture: string | undefined;
  /** Epoch seconds: when the user last proved who it is, if the provider says so. */
  readonly authTime: number | undefined;
  readonly acr: string | undefined;
  readonly amr: readonly string[] | undefined;
  /** All that the provider said. */
  readonly claims: Readonly<Record<string, unknown>>;
}

type Claims = Readonly<Record<string, unknown>>;

/** @throws Error if there is no subject */
export function identityOf(
  providerId: string,
  claims: Claims,
  { issuer, names = {} }: { issuer: string | undefined; names?: ClaimNames },
): ProviderIdentity {
  const subject = at(claims, names.subject ?? 'sub');
  if ((typeof subject !== 'string' || subject === '') && !Number.isSafeInteger(subject)) {
    throw new Error('the provider did not say who its user is');
  }
  const verified = at(claims, names.emailVerified ?? 'email_verified');
  const { auth_time: authTime, acr, amr } = claims;
  return Object.freeze({
    providerId,
    issuer,
    subject: String(subject),
    email: text(at(claims, names.email ?? 'email')),
    // Some write it as a string.
    emailVerified: verified === true || verified === 'true',
    name: text(at(claims, names.name ?? 'name')),
    username: text(at(claims, names.username ?? 'preferred_username')),
    picture: text(at(claims, names.picture ?? 'picture')),
    authTime: typeof authTime === 'number' && Number.isFinite(authTime) ? Math.floor(authTime) : undefined,
    acr: text(acr),
    amr: Array.isArray(amr) ? amr.filter((method) => typeof method === 'string') : undefined,
    claims,
  });
}

/** The user's own address of a list: the primary one that is verified, else any that is. */
export function verifiedEmail(list: unknown): string | undefined {
  const entries = Array.isArray(list) ? (list as Partial<Record<string, unknown>>[]) : [];
  const verified = entries.filter((entry) => entry.verified === true && text(entry.email) !== undefined);
  return text((verified.find(({ primary }) => primary === true) ?? verified[0])?.email);
}

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
