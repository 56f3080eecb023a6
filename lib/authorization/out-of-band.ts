import type { Request } from 'express';

import type { Client } from '../clients/client';
import { consentRequired, invalidRequest, loginRequired, OAuthError } from '../errors';
import { callHost, type Awaitable } from '../host/call';
import { authenticationOf, userIdOf, type Authentication, type OAuthUser } from '../host/user';
import type { Subjects } from '../tokens/subject';
import type { Progress } from './progress';
import type { AuthorizationRequest } from './request';
import { unmetRequirement } from './requirements';

/**
 * Returns the user that an app without a browser names in one of the host's headers, or `undefined` if the request names no user.
 * It must not read a cookie, because any page could then get codes. For an invalid header, throw an `OAuthError` such as
 * `invalid_token`. The user is not asked for consent: the function must make sure that `client` may act for that user.
 */
export type HeaderSubject = (
  req: Request,
  context: { readonly client: Client },
) => Awaitable<OAuthUser | undefined | null>;

/** The user that a code is issued for. */
export interface CodeSubject {
  /** `undefined` for a user who is created when the code is redeemed. */
  readonly userId: string | undefined;
  readonly authentication: Authentication;
}

/** Finds the user of an app without a browser. @throws OAuthError if the request requires another user, or a sign-in */
export type FindHeaderSubject = (
  req: Request,
  request: AuthorizationRequest,
  progress: Progress,
) => Promise<CodeSubject>;

export function createFindHeaderSubject(options: {
  headerSubject: HeaderSubject | undefined;
  /** Whether users can be created for requests that name none. */
  hasAnonymousSubjects: boolean;
  subjects: Subjects;
  clock: () => number;
}): FindHeaderSubject {
  const { headerSubject, hasAnonymousSubjects, subjects, clock } = options;

  return async (req, request, progress) => {
    const { client, state, federation, prompt } = request;
    if (state === undefined) throw invalidRequest('state is missing');
    if (federation) throw invalidRequest('Signing in through a provider needs a browser');
    if (prompt.includes('consent')) throw consentRequired('The user cannot be asked here');
    // `authenticate` may read a cookie, and is not asked: a page that the user visits could get a code.
    const user = headerSubject && (await callHost(() => headerSubject(req, { client })));
    if (!user && !hasAnonymousSubjects) {
      throw new OAuthError('invalid_token', 'The request does not identify a user');
    }
    const unmet = user
      ? unmetRequirement(user, request, progress, { now: clock(), subjects })
      : unmetByAnonymous(request);
    if (unmet !== undefined)
      throw loginRequired('The user cannot sign in here', { reason: `not satisfied: ${unmet}` });
    return user
      ? { userId: userIdOf(user, client), authentication: authenticationOf(user) }
      : { userId: undefined, authentication: {} };
  };
}

/**
 * Returns the requirement, if any, that a user who is yet to be created cannot meet. Such a user has not signed in, and cannot be
 * a particular user.
 */
function unmetByAnonymous(request: AuthorizationRequest): string | undefined {
  const { expectedSubs, claims, maxAge, prompt } = request;
  const isParticular = expectedSubs.length > 0 || claims.essentialAcr.length > 0;
  return isParticular || maxAge !== undefined || prompt.includes('login') ? 'user' : undefined;
}
