import type { Request, RequestHandler, Response } from 'express';

import type { Store } from '../adapters/store';
import type { ClientRegistry } from '../clients/registry';
import type { OAuthError } from '../errors';
import { asOAuthError } from '../errors';
import type { EventReporter } from '../events';
import { insert } from '../grants/commit';
import { newAttempt, subjectOf, type Grant } from '../grants/grant';
import type { Audiences } from '../grants/narrowing';
import type { Policies } from '../grants/policy';
import { authTimeOf, userIdOf } from '../grants/user';
import { bodyParameters } from '../http/body';
import { endpoint } from '../http/endpoint';
import { only, queryParameters, refuseSecrets } from '../http/parameters';
import { redirect, withParameters } from '../http/redirect';
import { grantId as newGrantId, type GrantTokens } from '../tokens/grant-token';
import {
  authorizationRequest,
  grantContext,
  redirectTarget,
  REQUEST_PARAMETERS,
  type Decision,
  type RedirectTarget,
  type SignedInRequest,
} from './authorization-request';
import type { ConsentStep } from './consent';
import type { Resumed, Resumption } from './resumption';
import type { SignIn } from './sign-in';

export interface AuthorizationOptions {
  issuer: string;
  registry: ClientRegistry;
  store: Store;
  audiences: Audiences;
  policies: Policies;
  grantTokens: GrantTokens;
  resumption: Resumption;
  signIn: SignIn;
  consent: ConsentStep;
  allowHttp: boolean;
  clock: () => number;
  reporter: EventReporter;
  /** How an error is shown that must not be redirected. */
  respond: (req: Request, res: Response, error: OAuthError) => void;
}

/** The way of an authorization request, from wherever it comes: the client, the login, or the consent page. */
export type Authorize = (req: Request, res: Response, resumed: Resumed, decision?: Decision) => Promise<void>;

/** `GET` and `POST /authorize`. @see RFC 6749 §3.1 and §4.1, RFC 9207 */
export function authorizationEndpoint(authorize: Authorize, options: AuthorizationOptions): RequestHandler {
  const { resumption, reporter, respond } = options;

  return endpoint(
    { name: 'authorize', methods: ['GET', 'POST'], reporter, respond },
    async (req, res, subject) => {
      const query = queryParameters(req.url);
      refuseSecrets(query);
      const parameters = req.method === 'POST' ? await bodyParameters(req) : query;
      refuseSecrets(parameters);
      subject.clientId = parameters.get('client_id');
      await authorize(req, res, await resumption.arrive(only(parameters, REQUEST_PARAMETERS)));
    },
  );
}

export function authorization(options: AuthorizationOptions): Authorize {
  const {
    issuer,
    registry,
    store,
    audiences,
    policies,
    grantTokens,
    resumption,
    signIn,
    consent,
    clock,
    reporter,
  } = options;

  async function authorize(
    req: Request,
    res: Response,
    resumed: Resumed,
    decision?: Decision,
  ): Promise<void> {
    const target = await redirectTarget(resumed.parameters, registry, options);
    try {
      await proceed(req, res, target, resumed, decision);
    } catch (thrown) {
      const error = asOAuthError(thrown);
      if (res.headersSent) throw error;
      reporter.refused('authorize', error, { clientId: target.client.clientId });
      redirect(res, errorLocation(target, error));
    }
  }

  async function proceed(
    req: Request,
    res: Response,
    target: RedirectTarget,
    resumed: Resumed,
    decision: Decision | undefined,
  ): Promise<void> {
    const request = authorizationRequest(target, resumed.parameters, audiences);
    const user = await signIn(req, res, request, resumed);
    if (!user) return;
    const signedIn: SignedInRequest = {
      ...request,
      user,
      userId: userIdOf(user, request.client),
      authTime: authTimeOf(user),
    };
    const scope = await consent(req, res, signedIn, resumed, decision);
    if (!scope) return;
    const grant = await saveCode({ ...signedIn, scope });
    // Spent after the code is stored, so that a failure before costs nothing; whoever comes second gets no code.
    await resumption.complete(resumed.progress).catch(async (thrown: unknown) => {
      await store.revokeGrant(grant.id);
      throw thrown;
    });
    reporter.emit('authorization_code.issued', { ...subjectOf(grant), scope: scope.join(' ') });
    const code = grantTokens.code(grant.id);
    redirect(res, withParameters(target.redirectUri, { code, state: target.state, iss: issuer }));
  }

  async function saveCode(request: SignedInRequest): Promise<Grant> {
    const { client, userId, scope, resources, codeChallenge, redirectUri, redirectUriGiven, authTime } =
      request;
    const now = clock();
    const grant: Grant = {
      id: newGrantId(),
      generation: 0,
      attempt: newAttempt(),
      clientId: client.clientId,
      userId,
      scope,
      resources,
      authTime,
      codeChallenge,
      redirectUri,
      redirectUriGiven,
      createdAt: now,
      expiresAt: now + policies.authorizationCodeLifetime(grantContext(request)) * 1000,
    };
    await insert(store, grant);
    return grant;
  }

  /** RFC 6749 §4.1.2.1, with `iss` (RFC 9207 §2). */
  function errorLocation({ redirectUri, state }: RedirectTarget, error: OAuthError): string {
    const { code, description, uri } = error;
    return withParameters(redirectUri, {
      error: code,
      error_description: description,
      error_uri: uri,
      state,
      iss: issuer,
    });
  }

  return authorize;
}
