import { randomUUID } from 'node:crypto';

import { OAuthError, serverError, storeUnavailable } from '../errors';
import {
  RESERVED_CLAIMS,
  type AccessTokenClaims,
  type AccessTokens,
  type Confirmation,
} from '../tokens/access-token';
import { invalidProof } from '../tokens/dpop';
import type { IdTokens } from '../tokens/id-token';
import type { Subjects } from '../tokens/subject';
import type { Audiences } from './audiences';
import type { FederationFacts } from './grant';
import type { GrantContext, Policies } from './policy';
import type { Authentication } from './user';
import type { UserClaims } from './user-claims';
import { isPlainObject, refusePromises } from '../hooks';

/** The claims of a token that a hook may add to. */
export interface ClaimsContext<User> extends GrantContext {
  /** What `loadUser` gave; `undefined` without it. */
  readonly user: User | undefined;
}

export type ClaimsHook<User> = (context: ClaimsContext<User>) => ExtraClaims | Promise<ExtraClaims>;

/**
 * Has the last word before tokens are made: an `OAuthError` that it throws refuses them, and spends neither code nor refresh
 * token. For example `new OAuthError('mfa_required', 'A second factor is needed', { members: { mfa_token } })`.
 */
export type BeforeIssueToken<User> = (context: ClaimsContext<User>) => unknown;

/** A token response that a hook may add to. */
export interface TokenResponseContext<User> extends ClaimsContext<User> {
  /** How the user signed in through a provider, where a code is redeemed that came from one. */
  readonly federation: FederationFacts | undefined;
}

/** Gives further members of the JSON body: not those of RFC 6749 §5, and nothing that JSON does not have. */
export type TokenResponseHook<User> = (
  context: TokenResponseContext<User>,
) => ExtraClaims | Promise<ExtraClaims>;

type ExtraClaims = Readonly<Record<string, unknown>> | undefined | null;

export type LoadUser<User> = (
  userId: string,
  context: GrantContext,
) => User | undefined | null | Promise<User | undefined | null>;

/** An access token with what the response says of it, and an ID token. */
export interface IssuedTokens {
  readonly accessToken: string;
  /** `'DPoP'` for a token that is bound to a key (RFC 9449 §5). */
  readonly tokenType: 'Bearer' | 'DPoP';
  readonly jti: string;
  /** Seconds from now. */
  readonly expiresIn: number;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
  readonly idToken?: string | undefined;
  /** Further members of the response. */
  readonly members: Readonly<Record<string, unknown>>;
}

export interface IssueRequest {
  readonly context: GrantContext;
  /** How the user signed in. */
  readonly authentication?: Authentication | undefined;
  /** What the access token is bound to. */
  readonly confirmation?: Confirmation | undefined;
  /** The grant that the token dies with. */
  readonly grantId?: string | undefined;
  /** Epoch milliseconds: the token must not outlive it. */
  readonly notAfter?: number | undefined;
  /** How the user of a code signed in. */
  readonly federation?: FederationFacts | undefined;
  /** What an ID token is to have besides; none is made without it. */
  readonly idToken?: { readonly nonce?: string | undefined; readonly claims: readonly string[] } | undefined;
}

/** What a grant answers the token endpoint with. */
export interface TokenSet extends IssuedTokens {
  readonly context: GrantContext;
  readonly grantId?: string | undefined;
  readonly refreshToken?: string | undefined;
}

export type TokenIssuer = (request: IssueRequest) => Promise<IssuedTokens>;

interface TokenIssuerOptions<User> {
  issuer: string;
  accessTokens: AccessTokens;
  idTokens: IdTokens;
  subjects: Subjects;
  audiences: Audiences;
  policies: Policies;
  clock: () => number;
  claims: ClaimsHook<User> | undefined;
  beforeIssueToken: BeforeIssueToken<User> | undefined;
  tokenResponse: TokenResponseHook<User> | undefined;
  loadUser: UserLoader<User>;
  userClaims: UserClaims<User>;
}

/** RFC 6749 §5.1 and §5.2, OpenID Connect Core §3.1.3.3 */
const RESERVED_MEMBERS = [
  'access_token',
  'token_type',
  'expires_in',
  'refresh_token',
  'scope',
  'id_token',
  'error',
  'error_description',
  'error_uri',
];

/** Makes tokens: loads the user, asks the hooks for claims, signs. Nothing of it writes to the store. */
export function tokenIssuer<User>(options: TokenIssuerOptions<User>): TokenIssuer {
  const { issuer, accessTokens, idTokens, subjects, audiences, policies, clock, loadUser, userClaims } =
    options;

  async function issue(request: IssueRequest): Promise<IssuedTokens> {
    const { context, confirmation, authentication = {}, grantId, notAfter } = request;
    const { client, userId, scope, resources } = context;
    audiences.refuseMultiple(resources);
    if (audiences.requireDpop(resources) && confirmation?.jkt === undefined) {
      throw invalidProof('missing, but the resource requires it');
    }
    const user = userId === undefined ? undefined : await loadUser(userId, context);
    if (options.beforeIssueToken) await hook(options.beforeIssueToken, serverError, { ...context, user });
    const extra = await extraClaims({ ...context, user });

    const now = clock();
    const iat = Math.floor(now / 1000);
    const wanted = iat + policies.accessTokenLifetime(context);
    const exp = notAfter === undefined ? wanted : Math.min(wanted, Math.floor(notAfter / 1000));
    if (exp <= iat) throw new OAuthError('invalid_grant', 'The grant is about to end', { reason: 'expired' });
    // 122 random bits, from a pool: a call of randomBytes for each token would cost more than all checks together.
    const random = randomUUID();
    const { authTime, acr, amr } = authentication;
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
      ...(authTime !== undefined && { auth_time: authTime }),
      ...(acr !== undefined && { acr }),
      ...(amr !== undefined && { amr }),
      ...(confirmation && { cnf: confirmation }),
    };
    const format = policies.accessTokenFormat(context);
    const accessToken = accessTokens.issue(claims, format, policies.accessTokenAlgorithms(context));
    return {
      accessToken,
      tokenType: confirmation?.jkt === undefined ? 'Bearer' : 'DPoP',
      jti: claims.jti,
      expiresIn: exp - iat,
      expiresAt: exp * 1000,
      idToken: await idTokenFor(request, user, accessToken, iat),
      members: await responseMembers({ ...context, user, federation: request.federation }),
    };
  }

  /** @see OpenID Connect Core §2 and §3.1.3.6 */
  async function idTokenFor(
    { context, idToken, authentication: { authTime, acr, amr, sid } = {} }: IssueRequest,
    user: User | undefined,
    accessToken: string,
    iat: number,
  ): Promise<string | undefined> {
    const { client, userId, scope } = context;
    if (!idToken || userId === undefined) return undefined;
    const { nonce, claims: requested } = idToken;
    const given = await userClaims({ user, userId, client, scope, target: 'id_token', requested });
    const claims = {
      ...given,
      sub: subjects.sub(client, userId),
      aud: client.clientId,
      exp: iat + policies.idTokenLifetime(context),
      iat,
      ...(authTime !== undefined && { auth_time: authTime }),
      ...(nonce !== undefined && { nonce }),
      ...(acr !== undefined && { acr }),
      ...(amr !== undefined && { amr }),
      ...(sid !== undefined && { sid: subjects.sid(client, sid) }),
    };
    return idTokens.issue(claims, { algorithms: policies.idTokenAlgorithms(client), accessToken });
  }

  async function responseMembers(context: TokenResponseContext<User>): Promise<Record<string, unknown>> {
    const { federation } = context;
    if (!federation && !options.tokenResponse) return {};
    const own = federation && {
      is_new_user: federation.isNewUser,
      after_callback_redirect_url: federation.afterCallbackRedirectUrl,
    };
    const given = options.tokenResponse ? await hook(options.tokenResponse, serverError, context) : undefined;
    refusePromises(given, 'tokenResponse');
    const isObject = given === undefined || given === null || isPlainObject(given);
    if (!isObject) throw serverError(new TypeError('the tokenResponse hook must give an object'));
    // As it will be sent: what cannot be must fail before anything is written.
    const members = JSON.parse(JSON.stringify({ ...own, ...given })) as Record<string, unknown>;
    const reserved = RESERVED_MEMBERS.find((name) => Object.hasOwn(members, name));
    if (reserved) throw serverError(new Error(`the tokenResponse hook must not set ${reserved}`));
    return members;
  }

  async function extraClaims(context: ClaimsContext<User>): Promise<Readonly<Record<string, unknown>>> {
    const extra = options.claims ? await hook(options.claims, serverError, context) : undefined;
    if (extra === undefined || extra === null) return {};
    refusePromises(extra, 'claims');
    const reserved = RESERVED_CLAIMS.find((claim) => Object.hasOwn(extra, claim));
    if (reserved) throw serverError(new Error(`the claims hook must not set ${reserved}`));
    return extra;
  }

  return issue;
}

/** Gives the user of a grant; `undefined` only if the host loads none. */
export type UserLoader<User> = (userId: string, context: GrantContext) => Promise<User | undefined>;

/** @throws OAuthError `invalid_grant` if the user is not there, `temporarily_unavailable` if the host cannot say */
export function userLoader<User>(loadUser: LoadUser<User> | undefined): UserLoader<User> {
  return async (userId, context) => {
    if (!loadUser) return undefined;
    const user = await hook(loadUser, storeUnavailable, userId, context);
    if (user === undefined || user === null) {
      throw new OAuthError('invalid_grant', 'The user is not available', { reason: 'loadUser found nobody' });
    }
    return user;
  };
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
