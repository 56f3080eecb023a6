import type { Request, Response } from 'express';

import type { Store } from '../adapters/store';
import type { Client } from '../clients/client';
import { invalidPublishableKey, publishableKeyFault } from '../clients/identification';
import type { ClientRegistry } from '../clients/registry';
import { asOAuthError } from '../errors';
import type { EventReporter } from '../events';
import type { Audiences } from '../grants/audiences';
import { insert } from '../grants/commit';
import { newAttempt, subjectOf, type Grant } from '../grants/grant';
import type { Policies } from '../grants/policy';
import { authenticationOf, userIdOf } from '../grants/user';
import { allowedClaims } from '../grants/user-claims';
import { secretOutOfPlace } from '../http/parameters';
import { grantId as newGrantId, type GrantTokens } from '../tokens/grant-token';
import type { IdTokens } from '../tokens/id-token';
import {
  authorizationRequest,
  grantContext,
  redirectTarget,
  type AuthorizationRequest,
  type Decision,
  type RedirectTarget,
  type ResponseMode,
  type SignedInRequest,
} from './authorization-request';
import type { AuthorizationResponse } from './authorization-response';
import type { ConsentStep } from './consent';
import type { Providers } from './federation-request';
import type { CodeSubject, OutOfBand } from './out-of-band';
import type { ProviderSignIn } from './provider-sign-in';
import type { PushedRequests } from './pushed-request';
import type { Progress, Resumed, Resumption, SignedIn } from './resumption';
import type { SignIn } from './sign-in';

export interface AuthorizationOptions {
  registry: ClientRegistry;
  store: Store;
  audiences: Audiences;
  policies: Policies;
  grantTokens: GrantTokens;
  idTokens: IdTokens;
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
}

/** The way of an authorization request, from wherever it comes: the client, the login, a provider, or the consent page. */
export type Authorize = (req: Request, res: Response, resumed: Resumed, decision?: Decision) => Promise<void>;

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
