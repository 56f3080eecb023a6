import type { Request, RequestHandler, Response } from 'express';

import type { Client } from '../clients/client';
import { invalidRequest } from '../errors';
import { signedInUser, type Authenticate } from '../host/authenticate';
import { callHost } from '../host/call';
import { authenticationOf, userNameOf, type OAuthUser } from '../host/user';
import { bodyParameters } from '../http/body';
import { createEndpoint, type EndpointFrame, type RespondError } from '../http/endpoint';
import {
  CONTINUED,
  queryParameters,
  refuseFaults,
  refuseSecrets,
  required,
  type Parameters,
} from '../http/parameters';
import { redirect } from '../http/redirect';
import { formPostPage } from '../pages/form-post';
import type { Page } from '../pages/layout';
import { confirmLogoutPage, signedOutPage, stillSignedInPage } from '../pages/logout';
import type { SealedJson } from '../tokens/sealed-json';
import type { Subjects } from '../tokens/subject';
import { isOfSession, type LogoutRequest, type ReadLogoutRequest } from './request';
import type { SignOut } from './sign-out';

/** Ends the host's session that a request belongs to. It may set cookies, and must not answer the request. */
export type EndSession = (req: Request, res: Response) => unknown;

/** The contents of the confirmation page's form, sealed. */
export interface LogoutForm {
  readonly userId: string;
  readonly location: string | undefined;
}

interface LogoutOptions {
  logoutUrl: string;
  authenticate: Authenticate<OAuthUser>;
  endSession: EndSession;
  signOut: SignOut;
  readLogoutRequest: ReadLogoutRequest;
  subjects: Subjects;
  logoutForms: SealedJson<LogoutForm>;
  page: Page;
  clock: () => number;
  frame: EndpointFrame;
  respondError: RespondError;
}

/** How long the confirmation page may stay open. Milliseconds. */
const CONFIRMATION_LIFETIME = 600_000;

/** `GET` and `POST /logout`. @see OpenID Connect RP-Initiated Logout §2 and §3 */
export function createLogoutEndpoint(options: LogoutOptions): RequestHandler {
  const { logoutUrl, authenticate, endSession, signOut, readLogoutRequest, subjects } = options;
  const { logoutForms, page, clock, frame, respondError } = options;

  return createEndpoint(
    frame,
    { name: 'logout', methods: ['GET', 'POST'], respond: respondError },
    async function logout(req, res, event) {
      const parameters = await logoutParameters(req);
      const user = await signedInUser(authenticate, req);
      if (user) event.userId = String(user.id);
      if (req.method === 'POST' && parameters.get('confirmation') !== undefined)
        return confirmed(req, res, parameters, user);

      const request = await readLogoutRequest(parameters);
      if (!user && comesFromOtherSite(req, parameters))
        return formPostPage(res, logoutUrl, {
          ...Object.fromEntries(parameters.entries()),
          [CONTINUED]: '1',
        });
      // Where anybody can be a client, a redirect of strangers would lead to any site (RFC 9700 §4.11.2).
      const isTrusted = request.hint !== undefined && !request.client?.selfAsserted;
      if (!user) return isTrusted ? finish(res, request.location) : offer(res, request);
      if (isOfSession(request, user, subjects)) return end(req, res, user, request.location);
      ask(res, request, user);
    },
  );

  function ask(res: Response, { client, location }: LogoutRequest, user: OAuthUser): void {
    const form = { userId: String(user.id), location };
    const content = confirmLogoutPage({
      userName: userNameOf(user),
      clientName: nameOf(client),
      action: logoutUrl,
      confirmation: logoutForms.seal(form, clock() + CONFIRMATION_LIFETIME),
    });
    page(res, 200, content);
  }

  async function confirmed(
    req: Request,
    res: Response,
    parameters: Parameters,
    user: OAuthUser | undefined,
  ): Promise<void> {
    const form = logoutForms.open(required(parameters, 'confirmation'));
    if (!form) throw invalidRequest('This page was open for too long');
    if (required(parameters, 'decision') !== 'sign_out') return page(res, 200, stillSignedInPage());
    if (!user) return finish(res, form.location);
    if (String(user.id) !== form.userId) throw invalidRequest('Another user is signed in now');
    await end(req, res, user, form.location);
  }

  async function end(
    req: Request,
    res: Response,
    user: OAuthUser,
    location: string | undefined,
  ): Promise<void> {
    const { sid } = authenticationOf(user);
    // Done before the session ends, so that a request that fails can be repeated. Without a session id, its grants are unknown.
    if (sid !== undefined) await signOut({ userId: String(user.id), sid });
    await callHost(() => endSession(req, res));
    finish(res, location);
  }

  /** Tells a user who is signed out already, and offers the way back to an app that has proven nothing. */
  function offer(res: Response, { client, location }: LogoutRequest): void {
    page(
      res,
      200,
      signedOutPage(location === undefined ? undefined : { clientName: nameOf(client), location }),
    );
  }

  function finish(res: Response, location: string | undefined): void {
    if (res.headersSent) return;
    if (location === undefined) page(res, 200, signedOutPage());
    else redirect(res, location);
  }
}

/** Returns a client's name for a sentence; not one that the client has chosen itself, which could be a sentence of its own. */
function nameOf(client: Client | undefined): string | undefined {
  return client?.selfAsserted ? undefined : client?.clientName;
}

/** Whether the session's cookie may have stayed behind: browsers keep those with `SameSite` from requests of other sites. */
function comesFromOtherSite(req: Request, parameters: Parameters): boolean {
  return req.get('sec-fetch-site') === 'cross-site' && parameters.get(CONTINUED) === undefined;
}

async function logoutParameters(req: Request): Promise<Parameters> {
  const query = queryParameters(req.url);
  refuseSecrets(query);
  const parameters = req.method === 'POST' ? await bodyParameters(req) : query;
  refuseFaults(parameters);
  return parameters;
}
