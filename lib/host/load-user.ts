import { OAuthError, temporarilyUnavailable } from '../errors';
import type { EventReporter } from '../event-reporter';
import { callHost, type Awaitable } from './call';
import type { GrantContext } from './grant-context';

/** The reason why a user is loaded, and the client, scope and resources that it concerns. */
export type LoadUserContext = Omit<GrantContext, 'grantType' | 'userId'> &
  (
    | {
        /** Tokens are about to be issued. */
        readonly purpose: 'token';
        /** The grant type of the token request. */
        readonly grantType: string;
      }
    | {
        /** `userinfo`: a client reads the user's claims. `link`: an account at a provider is about to be linked. */
        readonly purpose: 'userinfo' | 'link';
      }
  );

/**
 * Loads a user by id. `undefined` or `null` means that the user no longer exists or is suspended: the request is refused, and the
 * grant is kept. An `OAuthError` is passed on to the client, except that `invalid_grant` outside the token endpoint is the same as
 * `undefined`; any other exception responds 503.
 */
export type LoadUser<User> = (userId: string, context: LoadUserContext) => Awaitable<User | undefined | null>;

/** A user that exists. `user` is `undefined` if the host has no `loadUser`: then every user exists. */
export interface LoadedUser<User> {
  readonly user: User | undefined;
}

/**
 * Loads the user of a request. Returns `undefined` if the host says that the user does not exist.
 *
 * @throws OAuthError the host's own, or `temporarily_unavailable` if `loadUser` throws another exception
 */
export type UserLoader<User> = (
  userId: string,
  context: LoadUserContext,
) => Promise<LoadedUser<User> | undefined>;

export function createUserLoader<User>(
  loadUser: LoadUser<User> | undefined,
  reporter: EventReporter,
): UserLoader<User> {
  if (!loadUser) return () => Promise.resolve({ user: undefined });

  function unavailable(cause: unknown): OAuthError {
    reporter.failed('loadUser', cause);
    return temporarilyUnavailable('The user cannot be loaded', { cause, reason: 'loadUser failed' });
  }

  return async (userId, context) => {
    try {
      const user = await callHost(() => loadUser(userId, context), unavailable);
      return user === undefined || user === null ? undefined : { user };
    } catch (thrown) {
      const isRefusal = thrown instanceof OAuthError && thrown.code === 'invalid_grant';
      // An error of the token endpoint, which the other endpoints do not have (RFC 6749 §5.2).
      if (isRefusal && context.purpose !== 'token') return undefined;
      throw thrown;
    }
  };
}
