import type { Request, RequestHandler, Response } from 'express';

import type { Store } from '../adapters/store';
import type { ClientRegistry } from '../clients/registry';
import { asOAuthError, OAuthError } from '../errors';
import type { EventReporter } from '../events';
import { insert } from '../grants/commit';
import { newAttempt, subjectOf, type Grant } from '../grants/grant';
import type { Audiences } from '../grants/audiences';
import type { Policies } from '../grants/policy';
import { authenticationOf, userIdOf } from '../grants/user';
import { allowedClaims } from '../grants/user-claims';
import { bodyParameters } from '../http/body';
import { endpoint, type RateLimiter } from '../http/endpoint';
import { only, queryParameters, refuseSecrets, type Parameters } from '../http/parameters';
import { grantId as newGrantId, type GrantTokens } from '../tokens/grant-token';
import type { IdTokens } from '../tokens/id-token';
import {
  authorizationRequest,
  grantContext,
  redirectTarget,
  REQUEST_PARAMETERS,
  type AuthorizationRequest,
  type Decision,
  type RedirectTarget,
  type SignedInRequest,
} from './authorization-request';
import type { AuthorizationResponse } from './authorization-response';
import type { ConsentStep } from './consent';
import { isPushedRequestUri, type PushedRequests } from './pushed-request';
import type { RequestObjects } from './request-object';
import type { Resumed, Resumption } from './resumption';
import type { SignIn } from './sign-in';

export interface AuthorizationOptions {
  registry: ClientRegistry;
  store: Store;
  audiences: Audiences;
  policies: Policies;
  grantTokens: GrantTokens;
  idTokens: IdTokens;
  requestObjects: RequestObjects;
  pushed: PushedRequests;
  resumption: Resumption;
  signIn: SignIn;
  consent: ConsentStep;
  answer: AuthorizationResponse;
  allowHttp: boolean;
  clock: () => number;
  reporter: EventReporter;
  limit: RateLimiter;
  /** How an error is shown that must not be redirected. */
  respond: (req: Request, res: Response, error: OAuthError) => void;
}

/** The way of an authorization request, from wherever it comes: the client, the login, or the consent page. */
export type Authorize = (req: Request, res: Response, resumed: Resumed, decision?: Decision) => Promise<void>;

/** `GET` and `POST /authorize`. @see RFC 6749 §3.1 and §4.1, RFC 9207 */
export function authorizationEndpoint(authorize: Authorize, options: AuthorizationOptions): RequestHandler {
  const { resumption, pushed, requestObjects, reporter, limit, respond } = options;

  /** As it came; continued; pushed before; or signed. */
  async function arrive(parameters: Parameters): Promise<Resumed> {
    const resumed = parameters.get('resume') ?? parameters.faults.get('resume');
    if (resumed !== undefined) return resumption.arrive(parameters);
    const requestUri = parameters.get('request_uri');
    if (isPushedRequestUri(requestUri)) return pushed.arrive(parameters);
    const arrived = await resumption.arrive(parameters);
    if (requestUri !== undefined) {
      const fault = new OAuthError(
        'request_uri_not_supported',
        'request_uri must come from a pushed request',
      );
      return { ...arrived, fault };
    }
    if (parameters.get('request') === undefined) return arrived;
    try {
      const signed = only(await requestObjects(parameters), REQUEST_PARAMETERS);
      return { parameters: signed, progress: { ...arrived.progress, signed: true } };
    } catch (thrown) {
      return { ...arrived, fault: asOAuthError(thrown) };
    }
  }

  return endpoint(
    { name: 'authorize', methods: ['GET', 'POST'], reporter, limit, respond },
    async (req, res, subject) => {
      const query = queryParameters(req.url);
      refuseSecrets(query);
      const parameters = req.method === 'POST' ? await bodyParameters(req) : query;
      refuseSecrets(parameters);
      subject.clientId = parameters.get('client_id');
      await authorize(req, res, await arrive(only(parameters, REQUEST_PARAMETERS)));
    },
  );
}

export function authorization(options: AuthorizationOptions): Authorize {
  const {
    registry,
    store,
    policies,
    grantTokens,
    pushed,
    resumption,
    signIn,
    consent,
    answer,
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
      if (resumed.fault) throw resumed.fault;
      await proceed(req, res, target, resumed, decision);
    } catch (thrown) {
      const error = asOAuthError(thrown);
      if (res.headersSent) throw error;
      reporter.refused('authorize', error, { clientId: target.client.clientId });
      // RFC 6749 §4.1.2.1
      answer(res, target, {
        error: error.code,
        error_description: error.description,
        error_uri: error.uri,
      });
    }
  }

  async function proceed(
    req: Request,
    res: Response,
    target: RedirectTarget,
    resumed: Resumed,
    decision: Decision | undefined,
  ): Promise<void> {
    const request = authorizationRequest(target, resumed.parameters, resumed.progress, options);
    const user = await signIn(req, res, request, resumed, decision);
    if (!user) return;
    const signedIn: SignedInRequest = {
      ...request,
      user,
      userId: userIdOf(user, request.client),
      authentication: authenticationOf(user),
    };
    const allowed = await consent(req, res, signedIn, resumed, decision);
    if (!allowed) return;
    const scope = request.scope.filter((value) => allowed.includes(value));
    const claims = { ...request.claims, ...allowedClaims(request.claims, allowed) };
    const grant = await saveCode({ ...signedIn, scope, claims });
    // Spent after the code is stored, so that a failure before costs nothing; whoever comes second gets no code.
    await complete(request, resumed).catch(async (thrown: unknown) => {
      await store.revokeGrant(grant.id);
      throw thrown;
    });
    reporter.emit('authorization_code.issued', { ...subjectOf(grant), scope: scope.join(' ') });
    answer(res, target, { code: grantTokens.code(grant.id) });
  }

  async function complete(request: AuthorizationRequest, { progress }: Resumed): Promise<void> {
    const context = grantContext(request);
    await resumption.complete(progress);
    // As long as somebody could still come with it.
    const { pushedRequestLifetime, parkedRequestLifetime, consentLifetime } = policies;
    const lifetimes = [pushedRequestLifetime, parkedRequestLifetime, consentLifetime];
    const lifetime = lifetimes.reduce((sum, of) => sum + of(context), 0);
    await pushed.complete(progress, lifetime);
  }

  async function saveCode(request: SignedInRequest): Promise<Grant> {
    const { client, userId, scope, resources, codeChallenge, redirectUri, redirectUriGiven } = request;
    const { nonce, dpopJkt, authentication, claims } = request;
    const { idToken, userinfo } = claims;
    const now = clock();
    const grant: Grant = {
      id: newGrantId(),
      generation: 0,
      attempt: newAttempt(),
      clientId: client.clientId,
      userId,
      scope,
      resources,
      ...authentication,
      nonce,
      claims: idToken.length + userinfo.length > 0 ? { idToken, userinfo } : undefined,
      dpopJkt,
      codeChallenge,
      redirectUri,
      redirectUriGiven,
      createdAt: now,
      expiresAt: now + policies.authorizationCodeLifetime(grantContext(request)) * 1000,
    };
    await insert(store, grant);
    return grant;
  }

  return authorize;
}
