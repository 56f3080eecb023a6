import type { Request } from 'express';

import { callHost, type Awaitable } from './call';
import { requireUserId, type OAuthUser } from './user';

/** Returns the user who is signed in at the host, or `undefined`, `null` or `false`. It must have no side effects. */
export type Authenticate<User extends OAuthUser> = (
  req: Request,
) => Awaitable<User | undefined | null | false>;

/** Returns the user who is signed in. @throws OAuthError the host's own, or `server_error`, also for a user without a valid id */
export async function signedInUser(
  authenticate: Authenticate<OAuthUser>,
  req: Request,
): Promise<OAuthUser | undefined> {
  const user = await callHost(() => authenticate(req));
  if (!user) return undefined;
  requireUserId(user);
  return user;
}
