import type { Request } from 'express';

import { callHost, type Awaitable } from './call';
import type { OAuthUser } from './user';

/** Returns the user who is signed in at the host, or `undefined` or `null`. It must have no side effects. */
export type Authenticate<User extends OAuthUser> = (req: Request) => Awaitable<User | undefined | null>;

/** Returns the user who is signed in. @throws OAuthError the host's own, or `server_error` */
export async function signedInUser(
  authenticate: Authenticate<OAuthUser>,
  req: Request,
): Promise<OAuthUser | undefined> {
  return (await callHost(() => authenticate(req))) ?? undefined;
}
