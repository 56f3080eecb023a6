import type { Request, Response } from 'express';

import { OAuthError } from '../errors';
import type { EventReporter } from '../events';
import type { Client } from '../clients/client';
import { subjectOf, type Grant } from '../grants/grant';
import { authenticationOf, userIdOf, type Authentication, type OAuthUser } from '../grants/user';
import { sendJson, type EndpointFrame } from '../http/endpoint';
import { outOfBandPage } from '../pages/out-of-band';
import type { Page } from '../pages/layout';
import type { GrantTokens } from '../tokens/grant-token';
import type { AuthorizationRequest, RedirectTarget } from './authorization-request';

/**
 * The user that a request of an app without a browser names by a header of the host's, `undefined` if it names nobody. It must
 * not read a cookie: any page could get codes then. For a header that is wrong it throws an `OAuthError` such as `invalid_token`.
 */
export type HeaderSubject = (
  req: Request,
  context: { readonly client: Client },
) => OAuthUser | undefined | null | Promise<OAuthUser | undefined | null>;

/** What a code is made of. */
export type CodeRequest = AuthorizationRequest & {
  /** `undefined` for a user that is made when the code is redeemed. */
  readonly userId: string | undefined;
  readonly authentication: Authentication;
};

/** Codes for clients that have nowhere to be redirected to. Nothing here is ever redirected. */
export interface OutOfBand {
  /** Answers an app with its code, as JSON. */
  respond(
    req: Request,
    res: Response,
    request: AuthorizationRequest,
    saveCode: (request: CodeRequest) => Promise<Grant>,
  ): Promise<void>;
  /** Shows a user the code, to be copied. */
  show(res: Response, target: RedirectTarget, code: string): void;
  refuse(req: Request, res: Response, target: RedirectTarget, error: OAuthError): void;
}

interface OutOfBandOptions {
  issuer: string;
  headerSubject: HeaderSubject | undefined;
  /** Whether users can be made for requests that name nobody. */
  hasAnonymousSubjects: boolean;
  grantTokens: GrantTokens;
  page: Page;
  respond: (req: Request, res: Response, error: OAuthError) => void;
  frame: EndpointFrame;
  reporter: EventReporter;
}

export function outOfBand(options: OutOfBandOptions): OutOfBand {
  const { issuer, headerSubject, hasAnonymousSubjects, grantTokens, page, frame, reporter } = options;

  async function respond(
    req: Request,
    res: Response,
    request: AuthorizationRequest,
    saveCode: (request: CodeRequest) => Promise<Grant>,
  ): Promise<void> {
    const { client, scope, state, federation } = request;
    if (state === undefined) throw new OAuthError('invalid_request', 'state is missing');
    if (federation) throw new OAuthError('invalid_request', 'Signing in through a provider needs a browser');
    // Not by `authenticate`, which may read a cookie: a page that the user visits could get a code.
    const user = (await headerSubject?.(req, { client })) ?? undefined;
    if (!user && !hasAnonymousSubjects) {
      throw new OAuthError('invalid_token', 'The request does not say who its user is');
    }
    const subject = user
      ? { userId: userIdOf(user, client), authentication: authenticationOf(user) }
      : { userId: undefined, authentication: {} };
    const grant = await saveCode({ ...request, ...subject });
    reporter.emit('authorization_code.issued', { ...subjectOf(grant), scope: scope.join(' ') });
    sendJson(res, { code: grantTokens.code(grant.id), state, iss: issuer });
  }

  return {
    respond,
    show: (res, { redirectUri, client, state }, code) => {
      const inTitle = redirectUri.endsWith(':auto');
      page(res, 200, outOfBandPage({ clientName: client.clientName, code, state, inTitle }));
    },
    refuse: (req, res, { outOfBand: kind }, error) =>
      (kind === 'json' ? frame.sendError : options.respond)(req, res, error),
  };
}
