import type { Request, Response } from 'express';

import type { Client } from '../clients/client';
import { OAuthError } from '../errors';

import { authenticationOf, userIdOf, type Authentication, type OAuthUser } from '../grants/user';
import { sendJson, type EndpointFrame } from '../http/endpoint';
import { outOfBandPage } from '../pages/out-of-band';
import type { Page } from '../pages/layout';
import type { Subjects } from '../tokens/subject';
import type { AuthorizationRequest, RedirectTarget } from './authorization-request';
import type { Progress } from './resumption';
import { shortcomingOf } from './sign-in';

/**
 * The user that a request of an app without a browser names by a header of the host's, `undefined` if it names nobody. It must
 * not read a cookie: any page could get codes then. For a header that is wrong it throws an `OAuthError` such as `invalid_token`.
 * Nobody is asked for consent: it must know that `client` may act for that user.
 */
export type HeaderSubject = (
  req: Request,
  context: { readonly client: Client },
) => OAuthUser | undefined | null | Promise<OAuthUser | undefined | null>;

/** Whose a code is. */
export interface CodeSubject {
  /** `undefined` for a user that is made when the code is redeemed. */
  readonly userId: string | undefined;
  readonly authentication: Authentication;
}

/** Codes for clients that have nowhere to be redirected to. Nothing here is ever redirected. */
export interface OutOfBand {
  /** Whom an app asks for, which has no browser. @throws OAuthError if its user is not the one that the request wants */
  subjectOf(req: Request, request: AuthorizationRequest, progress: Progress): Promise<CodeSubject>;
  /** Gives an app its code, or a user, to be copied. */
  answer(res: Response, target: RedirectTarget, code: string): void;
  refuse(req: Request, res: Response, target: RedirectTarget, error: OAuthError): void;
}

interface OutOfBandOptions {
  issuer: string;
  headerSubject: HeaderSubject | undefined;
  /** Whether users can be made for requests that name nobody. */
  hasAnonymousSubjects: boolean;
  subjects: Subjects;
  page: Page;
  respond: (req: Request, res: Response, error: OAuthError) => void;
  frame: EndpointFrame;
  clock: () => number;
}

export function outOfBand(options: OutOfBandOptions): OutOfBand {
  const { issuer, headerSubject, hasAnonymousSubjects, subjects, page, frame, clock } = options;

  async function subjectOf(
    req: Request,
    request: AuthorizationRequest,
    progress: Progress,
  ): Promise<CodeSubject> {
    const { client, state, federation, prompt } = request;
    if (state === undefined) throw new OAuthError('invalid_request', 'state is missing');
    if (federation) throw new OAuthError('invalid_request', 'Signing in through a provider needs a browser');
    if (prompt.includes('consent')) throw new OAuthError('consent_required', 'Nobody can be asked here');
    // Not by `authenticate`, which may read a cookie: a page that the user visits could get a code.
    const user = (await headerSubject?.(req, { client })) ?? undefined;
    if (!user && !hasAnonymousSubjects) {
      throw new OAuthError('invalid_token', 'The request does not say who its user is');
    }
    const now = clock();
    const shortcoming = user
      ? shortcomingOf(user, request, progress, undefined, { now, subjects })
      : anonymousShortcoming(request);
    if (shortcoming !== undefined) {
      throw new OAuthError('login_required', 'Nobody can sign in here', {
        reason: `not satisfied: ${shortcoming}`,
      });
    }
    return user
      ? { userId: userIdOf(user, client), authentication: authenticationOf(user) }
      : { userId: undefined, authentication: {} };
  }

  function answer(res: Response, target: RedirectTarget, code: string): void {
    const { outOfBand: kind, redirectUri, client, state } = target;
    if (kind === 'json') return sendJson(res, { code, state, iss: issuer });
    const inTitle = redirectUri.endsWith(':auto');
    page(res, 200, outOfBandPage({ clientName: client.clientName, code, state, inTitle }));
  }

  return {
    subjectOf,
    answer,
    refuse: (req, res, { outOfBand: kind }, error) =>
      (kind === 'json' ? frame.sendError : options.respond)(req, res, error),
  };
}

/** Who is to be made has not signed in, and is nobody yet. */
function anonymousShortcoming(request: AuthorizationRequest): string | undefined {
  const { expectedSubs, claims, maxAge, prompt } = request;
  const isSomebody = expectedSubs.length > 0 || claims.essentialAcr.length > 0;
  return isSomebody || maxAge !== undefined || prompt.includes('login') ? 'user' : undefined;
}
