import type { Request, RequestHandler, Response } from 'express';

import type { Client } from '../clients/client';
import type { ClientRegistry } from '../clients/registry';
import { OAuthError } from '../errors';
import type { SignOut } from '../grants/sign-out';
import { authenticationOf, userNameOf, type OAuthUser } from '../grants/user';
import { bodyParameters } from '../http/body';
import { endpoint, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseFaults, refuseSecrets, required, type Parameters } from '../http/parameters';
import { redirect, withParameters } from '../http/redirect';
import type { Page } from '../pages/layout';
import { confirmLogoutPage, signedOutPage, stillSignedInPage } from '../pages/logout';
import type { IdTokenClaims, IdTokens } from '../tokens/id-token';
import type { Sealer } from '../tokens/keys';
import type { Subjects } from '../tokens/subject';
import type { Authenticate } from './sign-in';

/** Ends the session of the host that a request belongs to. It may set cookies, and must not answer. */
export type EndSession = (req: Request, res: Response) => unknown;

interface LogoutOptions {
  logoutUrl: string;
  authenticate: Authenticate<OAuthUser>;
  endSession: EndSession;
  signOut: SignOut;
  registry: ClientRegistry;
  idTokens: IdTokens;
  subjects: Subjects;
  sealer: Sealer;
  page: Page;
  clock: () => number;
  frame: EndpointFrame;
  respond: (req: Request, res: Response, error: OAuthError) => void;
}

/** What the client of a request wants, and has shown a right to. */
interface LogoutRequest {
  readonly client: Client | undefined;
  readonly hint: IdTokenClaims | undefined;
  /** Where the browser goes afterwards, `state` included; nowhere if it was not proven to be the client's. */
  readonly location: string | undefined;
}

/** What the form of the confirmation page carries, sealed. */
interface Form {
  readonly userId: string;
  readonly location: string | undefined;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** Milliseconds. */
const CONFIRMATION_LIFETIME = 600_000;

/** `GET` and `POST /logout`. @see OpenID Connect RP-Initiated Logout §2 and §3 */
export function logoutEndpoint(options: LogoutOptions): RequestHandler {
  const {
    logoutUrl,
    authenticate,
    endSession,
    registry,
    idTokens,
    subjects,
    sealer,
    page,
    clock,
    frame,
    respond,
  } = options;

  return endpoint(frame, { name: 'logout', methods: ['GET', 'POST'], respond }, async (req, res, event) => {
    const query = queryParameters(req.url);
    refuseSecrets(query);
    const parameters = req.method === 'POST' ? await bodyParameters(req) : query;
    refuseFaults(parameters);
    const user = (await authenticate(req)) ?? undefined;
    if (user) event.userId = String(user.id);
    if (req.method === 'POST' && parameters.get('confirmation') !== undefined) {
      return confirmed(req, res, parameters, user);
    }

    const request = await logoutRequest(parameters);
    if (!user) return finish(res, request.location);
    if (isOfSession(request, user)) return end(req, res, user, request.location);
    ask(res, request, user);
  });

  async function logoutRequest(parameters: Parameters): Promise<LogoutRequest> {
    const token = parameters.get('id_token_hint');
    const hint = token === undefined ? undefined : idTokens.read(token);
    if (token !== undefined && !hint) {
      throw new OAuthError('invalid_request', 'id_token_hint is no ID token of this server');
    }
    const named = parameters.get('client_id');
    if (hint && named !== undefined && named !== hint.aud) {
      throw new OAuthError('invalid_request', 'id_token_hint is of another client');
    }
    const clientId = hint?.aud ?? named;
    const record = clientId === undefined ? undefined : await registry.find(clientId);
    if (clientId !== undefined && !record) throw new OAuthError('invalid_request', 'The client is unknown');

    const uri = parameters.get('post_logout_redirect_uri');
    if (uri !== undefined && record && !record.client.postLogoutRedirectUris.includes(uri)) {
      throw new OAuthError('invalid_request', 'post_logout_redirect_uri is not registered for this client');
    }
    // Without a hint anybody could have sent the browser here, in the client's name.
    const location =
      hint && uri !== undefined ? withParameters(uri, { state: parameters.get('state') }) : undefined;
    return { client: record?.client, hint, location };
  }

  /** Whether the client has shown that it acts for who is signed in, in this very session if it knows which. */
  function isOfSession({ client, hint }: LogoutRequest, user: OAuthUser): boolean {
    if (!client || hint?.sub !== subjects.sub(client, String(user.id))) return false;
    const { sid } = authenticationOf(user);
    return hint.sid === undefined || (sid !== undefined && hint.sid === subjects.sid(client, sid));
  }

  function ask(res: Response, { client, location }: LogoutRequest, user: OAuthUser): void {
    const form: Form = { userId: String(user.id), location, expiresAt: clock() + CONFIRMATION_LIFETIME };
    const confirmation = sealer.seal(JSON.stringify(form));
    page(
      res,
      200,
      confirmLogoutPage({
        userName: userNameOf(user),
        clientName: client?.clientName,
        action: logoutUrl,
        confirmation,
      }),
    );
  }

  async function confirmed(
    req: Request,
    res: Response,
    parameters: Parameters,
    user: OAuthUser | undefined,
  ): Promise<void> {
    const text = sealer.open(required(parameters, 'confirmation'));
    const form = text === undefined ? undefined : (JSON.parse(text) as Form);
    if (!form || clock() >= form.expiresAt) {
      throw new OAuthError('invalid_request', 'This page was open for too long');
    }
    if (required(parameters, 'decision') !== 'sign_out') return page(res, 200, stillSignedInPage());
    if (!user) return finish(res, form.location);
    if (String(user.id) !== form.userId)
      throw new OAuthError('invalid_request', 'Somebody else is signed in now');
    await end(req, res, user, form.location);
  }

  async function end(
    req: Request,
    res: Response,
    user: OAuthUser,
    location: string | undefined,
  ): Promise<void> {
    const { sid } = authenticationOf(user);
    // First, so that a failure leaves a session to try again with. Without its id nobody can say which grants are its.
    if (sid !== undefined) await options.signOut({ userId: String(user.id), sid });
    await endSession(req, res);
    finish(res, location);
  }

  function finish(res: Response, location: string | undefined): void {
    if (res.headersSent) return;
    if (location === undefined) page(res, 200, signedOutPage());
    else redirect(res, location);
  }
}
