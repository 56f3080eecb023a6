import type { Store } from '../adapters/store';
import type { EventReporter } from '../event-reporter';
import { insert } from '../grants/commit';
import { identifiersOf, isActive, newAttempt, type Grant } from '../grants/grant';
import type { Policies } from '../policy/policies';
import { newGrantId, type GrantTokens } from '../tokens/grant-token';
import type { CompletedRequests, Completion } from './completed-requests';
import type { CodeSubject } from './out-of-band';
import type { Progress, ProviderUser } from './progress';
import type { PushedRequests } from './pushed-requests';
import { grantContext, type AuthorizationRequest } from './request';
import { stale } from './resuming';

/** Issues a code, and spends the request. @throws OAuthError if the request was spent before */
export type IssueCode = (request: AuthorizationRequest & CodeSubject, progress: Progress) => Promise<string>;

interface IssueCodeOptions {
  store: Store;
  grantTokens: GrantTokens;
  completed: CompletedRequests;
  pushedRequests: PushedRequests;
  policies: Policies;
  clock: () => number;
  reporter: EventReporter;
}

export function createIssueCode(options: IssueCodeOptions): IssueCode {
  const { store, grantTokens, completed, pushedRequests, policies, clock, reporter } = options;

  return async (request, progress) => {
    const lifetime = policies.authorizationCodeLifetime(grantContext(request)) * 1000;
    const grant = codeGrant(request, progress.providerUser, { now: clock(), lifetime });
    await insert(store, grant);
    // Spent after the code is stored, so that an earlier failure costs nothing.
    const { onceId } = progress;
    const isFirst = onceId === undefined || (await complete(onceId, grant, request).catch(undo(grant)));
    if (!isFirst) return repeat(onceId, grant, request, progress);
    await pushedRequests.forget(progress);
    reporter.emit('authorization_code.issued', { ...identifiersOf(grant), scope: request.scope.join(' ') });
    return grantTokens.code(grant.id);
  };

  async function complete(onceId: string, grant: Grant, request: AuthorizationRequest): Promise<boolean> {
    const context = grantContext(request);
    // Remembered as long as the browser may still come back with the request.
    const { pushedRequestLifetime, parkedRequestLifetime, consentLifetime, federationLifetime } = policies;
    const lifetimes = [pushedRequestLifetime, parkedRequestLifetime, consentLifetime, federationLifetime];
    const lifetime = lifetimes.reduce((sum, lifetimeOf) => sum + lifetimeOf(context), 0);
    return completed.complete(onceId, completionOf(grant), lifetime);
  }

  /** Returns the code that the request has already given to this user. @throws OAuthError `invalid_request` for another user */
  async function repeat(
    onceId: string,
    grant: Grant,
    request: AuthorizationRequest,
    { parkedId, detours }: Progress,
  ): Promise<string> {
    await store.revokeGrant(grant.id);
    // A user clicks twice on a page of the host or on the consent page; a request that arrives twice is not from a user.
    const isClicked = parkedId !== undefined || detours > 0;
    const earlier = isClicked ? await completed.repeated(onceId, completionOf(grant)) : undefined;
    const first = earlier && (await store.getGrant(earlier.grantId));
    // A code that was redeemed, or revoked, is not handed out again: its second use would end the tokens of the first.
    if (first?.generation !== 0 || !isActive(first, request.client, clock()))
      throw stale('already completed');
    return grantTokens.code(first.id);
  }

  function undo(grant: Grant): (thrown: unknown) => Promise<never> {
    return async (thrown) => {
      await store.revokeGrant(grant.id);
      throw thrown;
    };
  }
}

function completionOf({ id: grantId, userId, scope, createdAt: at }: Grant): Completion {
  return { grantId, userId, scope, at };
}

/** Creates the record of an unspent code. `lifetime` is in milliseconds. */
function codeGrant(
  request: AuthorizationRequest & CodeSubject,
  providerUser: ProviderUser | undefined,
  { now, lifetime }: { now: number; lifetime: number },
): Grant {
  const { client, userId, scope, resources, authentication, afterCallbackRedirectUrl } = request;
  const { idToken, userinfo } = request.claims;
  return {
    id: newGrantId(),
    generation: 0,
    attempt: newAttempt(),
    clientId: client.clientId,
    userId,
    scope,
    resources,
    ...authentication,
    nonce: request.nonce,
    claims: idToken.length + userinfo.length > 0 ? { idToken, userinfo } : undefined,
    dpopJkt: request.dpopJkt,
    codeChallenge: request.codeChallenge,
    redirectUri: request.redirectUri,
    redirectUriGiven: request.redirectUriGiven,
    federation: providerUser && {
      providerId: providerUser.providerId,
      type: providerUser.type,
      isNewUser: providerUser.isNewUser,
      afterCallbackRedirectUrl,
    },
    createdAt: now,
    expiresAt: now + lifetime,
  };
}
