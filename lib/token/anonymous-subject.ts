import type { Request } from 'express';

import type { Client } from '../clients/client';
import { serverError } from '../errors';
import { callHost, type Awaitable } from '../host/call';
import { userIdOf, type OAuthUser } from '../host/user';
import { refusedGrant } from './grant-type';

/**
 * Creates a user for an app whose request names no user. It is called when the code is redeemed, so that fetching the
 * authorization URL alone creates no user. It may be called several times for one code, also concurrently, with the same
 * `grantId`, and must return the same user each time.
 */
export type AnonymousSubject = (
  req: Request,
  context: { readonly client: Client; readonly grantId: string },
) => Awaitable<OAuthUser>;

/** Creates the user of a code that has none, and returns the user's id. @throws OAuthError `invalid_grant` without the hook */
export type AnonymousSubjects = (
  req: Request,
  context: { client: Client; grantId: string },
) => Promise<string>;

export function createAnonymousSubjects(hook: AnonymousSubject | undefined): AnonymousSubjects {
  return async (req, context) => {
    if (!hook) throw refusedGrant('authorization code', 'without a user');
    const user: unknown = await callHost(() => hook(req, context));
    if (!user) throw serverError(new Error('anonymousSubject returned no user'));
    return userIdOf(user as OAuthUser, context.client);
  };
}
