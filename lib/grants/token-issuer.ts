import { randomUUID } from 'node:crypto';

import { OAuthError, serverError, storeUnavailable } from '../errors';
import { RESERVED_CLAIMS, type AccessTokenClaims, type AccessTokens } from '../tokens/access-token';
import type { GrantContext, Policies } from './policy';

/** The claims of a token that a hook may add to. */
export interface ClaimsContext<User> extends GrantContext {
  /** What `loadUser` gave; `undefined` without it. */
  readonly user: User | undefined;
}

export type ClaimsHook<User> = (context: ClaimsContext<User>) => ExtraClaims | Promise<ExtraClaims>;

type ExtraClaims = Readonly<Record<string, unknown>> | undefined | null;

export type LoadUser<User> = (
  userId: string,
  context: GrantContext,
) => User | undefined | null | Promise<User | undefined | null>;

/** An access token and what the response says of it. */
export interface IssuedAccessToken {
  readonly accessToken: string;
  readonly jti: string;
  /** Seconds from now. */
  readonly expiresIn: number;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

export interface AccessTokenRequest {
  readonly context: GrantContext;
  readonly authTime?: number | undefined;
  /** The grant that the token dies with. */
  readonly grantId?: string | undefined;
  /** Epoch milliseconds: the token must not outlive it. */
  readonly notAfter?: number | undefined;
}

/** What a grant answers the token endpoint with. */
export interface TokenSet extends IssuedAccessToken {
  readonly context: GrantContext;
  readonly grantId?: string | undefined;
  readonly refreshToken?: string | undefined;
}

export type TokenIssuer = (request: AccessTokenRequest) => Promise<IssuedAccessToken>;

interface TokenIssuerOptions<User> {
  issuer: string;
  accessTokens: AccessTokens;
  policies: Policies;
  clock: () => number;
  claims: ClaimsHook<User> | undefined;
  loadUser: LoadUser<User> | undefined;
}

/** Makes access tokens: loads the user, asks the hook for claims, signs. Nothing of it writes to the store. */
export function tokenIssuer<User>(options: TokenIssuerOptions<User>): TokenIssuer {
  const { issuer, accessTokens, policies, clock, claims: claimsHook, loadUser } = options;

  async function issue({
    context,
    authTime,
    grantId,
    notAfter,
  }: AccessTokenRequest): Promise<IssuedAccessToken> {
    const { client, userId, scope, resources } = context;
    const user = userId === undefined ? undefined : await userOf(userId, context);
    const extra = await extraClaims({ ...context, user });

    const now = clock();
    const iat = Math.floor(now / 1000);
    const wanted = iat + policies.accessTokenLifetime(context);
    const exp = notAfter === undefined ? wanted : Math.min(wanted, Math.floor(notAfter / 1000));
    if (exp <= iat) throw new OAuthError('invalid_grant', 'The grant is about to end', { reason: 'expired' });
    // 122 random bits, from a pool: a call of randomBytes for each token would cost more than all checks together.
    const random = randomUUID();
    const claims: AccessTokenClaims = {
      ...extra,
      iss: issuer,
      // RFC 9068 §2.2: the client itself where no user is involved.
      sub: userId ?? client.clientId,
      aud: resources.length > 1 ? resources : (resources[0] ?? issuer),
      exp,
      iat,
      jti: grantId === undefined ? random : `${grantId}.${random}`,
      client_id: client.clientId,
      scope: scope.join(' '),
      ...(authTime === undefined ? {} : { auth_time: authTime }),
    };
    const accessToken = accessTokens.issue(claims, policies.accessTokenFormat(context));
    return { accessToken, jti: claims.jti, expiresIn: exp - iat, expiresAt: exp * 1000 };
  }

  async function userOf(userId: string, context: GrantContext): Promise<User | undefined> {
    if (!loadUser) return undefined;
    const user = await hook(loadUser, storeUnavailable, userId, context);
    if (user === undefined || user === null) {
      throw new OAuthError('invalid_grant', 'The user is not available', { reason: 'loadUser found nobody' });
    }
    return user;
  }

  async function extraClaims(context: ClaimsContext<User>): Promise<Readonly<Record<string, unknown>>> {
    const extra = claimsHook ? await hook(claimsHook, serverError, context) : undefined;
    if (extra === undefined || extra === null) return {};
    const reserved = RESERVED_CLAIMS.find((claim) => Object.hasOwn(extra, claim));
    if (reserved) throw serverError(new Error(`the claims hook must not set ${reserved}`));
    return extra;
  }

  return issue;
}

/** A hook's own `OAuthError` goes to the client; whatever else it throws is the operator's. */
async function hook<Args extends unknown[], Result>(
  run: (...args: Args) => Result | Promise<Result>,
  otherwise: (cause: unknown) => OAuthError,
  ...args: Args
): Promise<Result> {
  try {
    return await run(...args);
  } catch (thrown) {
    throw thrown instanceof OAuthError ? thrown : otherwise(thrown);
  }
}
