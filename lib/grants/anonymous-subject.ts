import type { Request } from 'express';

import type { Client } from '../clients/client';
import { serverError } from '../errors';
import { userIdOf, type OAuthUser } from './user';

/**
 * Makes a user for an app whose request names nobody: when its code is redeemed, so that whoever only fetches the URL makes
 * none. For one code it may be called several times, also at once, with the same `grantId`, and must give the same user each
 * time: an upsert.
 */
export type AnonymousSubject = (
  req: Request,
  context: { readonly client: Client; readonly grantId: string },
) => OAuthUser | Promise<OAuthUser>;

export type SubjectMaker = (req: Request, context: { client: Client; grantId: string }) => Promise<string>;

/** As the authorization code grant calls it: gives the id. */
export function subjectMaker(make: AnonymousSubject | undefined): SubjectMaker {
  return async (req, context) => {
    const user = (await make?.(req, context)) as OAuthUser | undefined | null;
    if (!user) throw serverError(new Error('anonymousSubject gave no user'));
    return userIdOf(user, context.client);
  };
}
