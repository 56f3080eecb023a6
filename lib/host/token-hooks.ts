import { serverError } from '../errors';
import { RESERVED_CLAIMS } from '../tokens/access-token';
import { callForMembers, callHost, type Awaitable } from './call';
import type { GrantContext } from './grant-context';

/** A sign-in through an upstream provider, as the token response and its hook see it. */
export interface FederationFacts {
  /** The provider's id in the options. */
  readonly providerId: string;
  /** Whether the user signed in or linked an account. */
  readonly type: 'authenticate' | 'link';
  /** Whether the host created the account during this sign-in. */
  readonly isNewUser: boolean;
  /** The page that the app wants to show afterwards: one of the client's registered redirect URIs. */
  readonly afterCallbackRedirectUrl: string | undefined;
}

/** Members that a hook adds to a token or a response. */
export type ExtraClaims = Readonly<Record<string, unknown>> | undefined | null;

/** The token that a hook may add claims to. */
export interface ClaimsContext<User> extends GrantContext {
  /** The result of `loadUser`; `undefined` without it. */
  readonly user: User | undefined;
}

/** Returns further claims of an access token. */
export type ClaimsHook<User> = (context: ClaimsContext<User>) => Awaitable<ExtraClaims>;

/**
 * Makes the final decision before tokens are issued. An `OAuthError` that it throws refuses them and spends neither the code nor
 * the refresh token, for example `new OAuthError('mfa_required', 'A second factor is needed', { members: { mfa_token } })`.
 */
export type BeforeIssueToken<User> = (context: ClaimsContext<User>) => unknown;

/** The token response that a hook may add members to. */
export interface TokenResponseContext<User> extends ClaimsContext<User> {
  /** The user's sign-in through a provider, where the code that is redeemed came from one. */
  readonly federation: FederationFacts | undefined;
}

/** Returns further members of the JSON body. It cannot set the members of RFC 6749 §5 or values that JSON cannot express. */
export type TokenResponseHook<User> = (context: TokenResponseContext<User>) => Awaitable<ExtraClaims>;

/** The host's functions that take part in issuing tokens. */
export interface TokenHooks<User> {
  readonly beforeIssueToken: BeforeIssueToken<User> | undefined;
  readonly claims: ClaimsHook<User> | undefined;
  readonly tokenResponse: TokenResponseHook<User> | undefined;
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

/** Asks the `beforeIssueToken` hook. @throws OAuthError the hook's own, or `server_error` */
export function askBeforeIssueToken<User>(
  hook: BeforeIssueToken<User> | undefined,
  context: GrantContext,
  user: User | undefined,
): Promise<unknown> | undefined {
  return hook && callHost(() => hook({ ...context, user }));
}

/** Returns the claims of the `claims` hook. @throws OAuthError `server_error` if it sets a reserved claim */
export function extraClaims<User>(
  hook: ClaimsHook<User> | undefined,
  context: GrantContext,
  user: User | undefined,
): Awaitable<Readonly<Record<string, unknown>>> {
  return hook ? callForMembers('claims', () => hook({ ...context, user }), RESERVED_CLAIMS) : {};
}

/** Returns the further members of a token response. @throws OAuthError `server_error` if the hook's result cannot be sent */
export async function responseMembers<User>(
  hook: TokenResponseHook<User> | undefined,
  context: GrantContext,
  user: User | undefined,
  federation: FederationFacts | undefined,
): Promise<Record<string, unknown>> {
  if (!federation && !hook) return {};
  const own = federation && {
    is_new_user: federation.isNewUser,
    after_callback_redirect_url: federation.afterCallbackRedirectUrl,
  };
  const added = hook
    ? await callForMembers('tokenResponse', () => hook({ ...context, user, federation }), [])
    : {};
  // Serialized now, before anything is written: a value that cannot be sent must not cost the client its code.
  const members = JSON.parse(JSON.stringify({ ...own, ...added })) as Record<string, unknown>;
  // Checked now, because `toJSON` may have added members.
  const reserved = RESERVED_MEMBERS.find((name) => Object.hasOwn(members, name));
  if (reserved) throw serverError(new Error(`tokenResponse must not set ${reserved}`));
  return members;
}
