import type { Request, RequestHandler, Response } from 'express';

import type { Store } from '../adapters/store';
import type { Client } from '../clients/client';
import {
  invalidPublishableKey,
  publishableKeyFault,
  type ClientIdentification,
} from '../clients/identification';
import type { ClientRegistry } from '../clients/registry';
import { asOAuthError, OAuthError } from '../errors';
import type { EventReporter } from '../events';
import type { Audiences } from '../grants/audiences';
import { insert } from '../grants/commit';
import { newAttempt, subjectOf, type Grant } from '../grants/grant';
import type { Policies } from '../grants/policy';
import { authenticationOf, userIdOf } from '../grants/user';
import { allowedClaims } from '../grants/user-claims';
import { bodyParameters } from '../http/body';
import { endpoint, type EndpointFrame } from '../http/endpoint';
import {
  only,
  queryParameters,
  refuseSecrets,
  secretOutOfPlace,
  withParameter,
  type Parameters,
} from '../http/parameters';
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
  type ResponseMode,
  type SignedInRequest,
} from './authorization-request';
import type { AuthorizationResponse } from './authorization-response';
import type { ConsentStep } from './consent';
import {
  FEDERATION_PARAMETERS,
  isFederatedRequest,
  providerPath,
  type Providers,
} from './federation-request';
import type { CodeSubject, OutOfBand } from './out-of-band';
import type { ProviderSignIn } from './provider-sign-in';
import { isPushedRequestUri, type PushedRequests } from './pushed-request';
import type { RequestObjects } from './request-object';
import type { Progress, Resumed, Resumption, SignedIn } from './resumption';
import type { SignIn } from './sign-in';

export interface AuthorizationOptions {
  registry: ClientRegistry;
  identification: ClientIdentification;
  store: Store;
  audiences: Audiences;
  policies: Policies;
  grantTokens: GrantTokens;
  idTokens: IdTokens;
  requestObjects: RequestObjects;
  pushed: PushedRequests;
  resumption: Resumption;
  providers: Providers;
  responseModes: readonly ResponseMode[];
  providerSignIn: ProviderSignIn;
  signIn: SignIn;
  consent: ConsentStep;
  outOfBand: OutOfBand;
  answer: AuthorizationResponse;
  allowHttp: boolean;
  clock: () => number;
  reporter: EventReporter;
  frame: EndpointFrame;
  /** How an error is shown that must not be redirected. */
  respond: (req: Request, res: Response, error: OAuthError) => void;
}

/** The way of an authorization request, from wherever it comes: the client, the login, a provider, or the consent page. */
export type Authorize = (req: Request, res: Response, resumed: Resumed, decision?: Decision) => Promise<void>;

/**
 * `GET` and `POST /authorize`, and `/authorize/:provider_id`, which says `connection` in the path.
 *
 * @see RFC 6749 §3.1 and §4.1, RFC 9207
 */
export function authorizationEndpoint(authorize: Authorize, options: AuthorizationOptions): RequestHandler {
  const { identification, resumption, pushed, requestObjects, providers, frame, respond } = options;

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
      return {
        parameters: await requestObjects(parameters),
        progress: { ...arrived.progress, signed: true },
      };
    } catch (thrown) {
      return { ...arrived, fault: asOAuthError(thrown) };
    }
  }

  /** What was pushed, signed or begun before says itself which provider it is for; any other request by its path, too. */
  function completed(req: Request, given: Parameters): Parameters {
    const clientId = identification.clientId(req, given);
    const named = clientId === undefined ? given : withParameter(given, 'client_id', clientId);
    const { providerId } = providerPath(req.path) ?? {};
    const isWhole = ['resume', 'request', 'request_uri', 'connection'].some((name) => given.get(name));
    return providerId === undefined || isWhole ? named : withParameter(named, 'connection', providerId);
  }

  /** What is not read is not kept either: `token` above all. */
  function relevant(parameters: Parameters): Parameters {
    const federated = isFederatedRequest(parameters, providers) ? FEDERATION_PARAMETERS : [];
    return only(parameters, [...REQUEST_PARAMETERS, ...federated]);
  }

  /** Both have a meaning here, which is looked at where the client is known. */
  function refuseSecretsOf(given: Parameters): void {
    const allowed = [
      ...(isContinued(given) ? [] : ['client_secret']),
      ...(isFederatedRequest(given, providers) ? ['token'] : []),
    ].filter((name) => !given.faults.has(name));
    refuseSecrets(given, { allowed });
  }

  return endpoint(
    frame,
    { name: 'authorize', methods: ['GET', 'POST'], respond },
    async (req, res, subject) => {
      const query = queryParameters(req.url);
      if (req.method === 'POST') refuseSecrets(query);
      const given = completed(req, req.method === 'POST' ? await bodyParameters(req) : query);
      refuseSecretsOf(given);
      subject.clientId = given.get('client_id');
      const resumed = await arrive(relevant(given));
      const parameters = relevant(resumed.parameters);
      const { providerId } = providerPath(req.path) ?? {};
      const isOther = parameters.get('connection') !== providerId;
      if (providerId !== undefined && isOther && !resumed.fault) {
        throw new OAuthError('invalid_request', 'connection differs from the provider in the path');
      }
      const keys = identification.publishableKeys(req, given.get('client_secret'));
      await authorize(req, res, { ...resumed, parameters, ...(!isContinued(given) && { keys }) });
    },
  );
}

/** A request of a user for whom a token stood: for no more than that was good for. */
function limited(request: AuthorizationRequest, limit: readonly string[] | undefined): AuthorizationRequest {
  if (!limit) return request;
  const { scope, claims } = request;
  return {
    ...request,
    scope: scope.filter((value) => limit.includes(value)),
    claims: { ...claims, ...allowedClaims(claims, limit) },
  };
}

/** Whether what is asked has been said, and looked at, before. */
function isContinued(given: Parameters): boolean {
  return given.get('resume') !== undefined || isPushedRequestUri(given.get('request_uri'));
}

/**
 * A publishable key says which client it is; a secret proves it, and must not be where URLs are kept.
 *
 * @throws OAuthError that must not be redirected
 */
function checkKeys(client: Client, keys: NonNullable<Resumed['keys']>): void {
  const { inParameters: key } = keys;
  const mayBeSecret = client.confidential && !client.publishableKeys.includes(key ?? '');
  if (key !== undefined && (mayBeSecret || !client.publishableKeyInQuery)) {
    throw secretOutOfPlace('client_secret');
  }
  const fault = publishableKeyFault(client, keys);
  if (fault !== undefined) throw invalidPublishableKey(fault);
}

export function authorization(options: AuthorizationOptions): Authorize {
  const {
    registry,
    store,
    policies,
    grantTokens,
    pushed,
    resumption,
    providerSignIn,
    signIn,
    consent,
    outOfBand,
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
    if (resumed.keys) checkKeys(target.client, resumed.keys);
    const state = resumed.returned?.answer.state ?? resumed.progress.signedIn?.state;
    try {
      if (resumed.fault) throw resumed.fault;
      const { parameters, progress, returned } = resumed;
      const signedIn = returned ? await providerSignIn.arrive(req, res, returned, target) : progress.signedIn;
      await proceed(req, res, target, { parameters, progress: { ...progress, signedIn } }, decision);
    } catch (thrown) {
      const error = asOAuthError(thrown);
      if (res.headersSent) throw error;
      reporter.refused(resumed.returned ? 'callback' : 'authorize', error, {
        clientId: target.client.clientId,
      });
      if (state !== undefined) providerSignIn.finish(res, state);
      if (target.outOfBand !== undefined) return outOfBand.refuse(req, res, target, error);
      const { errorRedirectUri = target.redirectUri } = state === undefined ? {} : target;
      const code = error.members?.error_code;
      // RFC 6749 §4.1.2.1
      answer(
        res,
        { ...target, redirectUri: errorRedirectUri },
        {
          error: error.code,
          error_description: error.description,
          error_uri: error.uri,
          error_code: typeof code === 'string' ? code : undefined,
        },
        { seeOther: state !== undefined },
      );
    }
  }

  async function proceed(
    req: Request,
    res: Response,
    target: RedirectTarget,
    resumed: Resumed,
    decision: Decision | undefined,
  ): Promise<void> {
    const { progress } = resumed;
    const request = limited(
      authorizationRequest(target, resumed.parameters, progress, options),
      progress.signedIn?.scopeLimit,
    );
    if (request.outOfBand === 'json') {
      const subject = await outOfBand.subjectOf(req, request, progress);
      return outOfBand.answer(res, target, await issueCode({ ...request, ...subject }, progress));
    }

    const { federation } = request;
    if (federation && !progress.signedIn) {
      return providerSignIn.depart(req, res, { ...request, federation }, resumed);
    }
    const providerUser = providerSignIn.userOf(req, progress);
    const user = await signIn(req, res, request, resumed, { decision, providerUser });
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
    const code = await issueCode({ ...signedIn, scope, claims }, progress);
    if (progress.signedIn) providerSignIn.finish(res, progress.signedIn.state);
    if (target.outOfBand !== undefined) return outOfBand.answer(res, target, code);
    answer(res, target, { code }, { seeOther: progress.signedIn !== undefined });
  }

  async function issueCode(request: AuthorizationRequest & CodeSubject, progress: Progress): Promise<string> {
    const grant = await saveCode(request, progress.signedIn);
    // Spent after the code is stored, so that a failure before costs nothing; whoever comes second gets no code.
    await complete(request, progress).catch(async (thrown: unknown) => {
      await store.revokeGrant(grant.id);
      throw thrown;
    });
    reporter.emit('authorization_code.issued', { ...subjectOf(grant), scope: request.scope.join(' ') });
    return grantTokens.code(grant.id);
  }

  async function complete(request: AuthorizationRequest, progress: Progress): Promise<void> {
    const context = grantContext(request);
    await resumption.complete(progress);
    // As long as somebody could still come with it.
    const { pushedRequestLifetime, parkedRequestLifetime, consentLifetime, federationLifetime } = policies;
    const lifetimes = [pushedRequestLifetime, parkedRequestLifetime, consentLifetime, federationLifetime];
    const lifetime = lifetimes.reduce((sum, of) => sum + of(context), 0);
    await pushed.complete(progress, lifetime);
  }

  async function saveCode(
    request: AuthorizationRequest & CodeSubject,
    signedIn: SignedIn | undefined,
  ): Promise<Grant> {
    const { client, userId, scope, resources, codeChallenge, redirectUri, redirectUriGiven } = request;
    const { nonce, dpopJkt, authentication, claims, afterCallbackRedirectUrl } = request;
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
      federation: signedIn && {
        providerId: signedIn.providerId,
        type: signedIn.type,
        isNewUser: signedIn.isNewUser,
        afterCallbackRedirectUrl,
      },
      createdAt: now,
      expiresAt: now + policies.authorizationCodeLifetime(grantContext(request)) * 1000,
    };
    await insert(store, grant);
    return grant;
  }

  return authorize;
}
