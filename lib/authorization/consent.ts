import type { Consent } from '../adapters/contract';
import type { Store } from '../adapters/store';
import { isNativeRedirectUri } from '../clients/redirect-uris';
import { accessDenied, consentRequired } from '../errors';
import type { EventReporter } from '../event-reporter';
import { scopeOfClaims } from '../host/standard-claims';
import type { Decision } from './arrival';
import type { ConsentQuestion } from './consent-question';
import type { ConsentOutcome } from './outcome';
import type { PendingRequest } from './progress';
import type { AuthorizationRequest, SignedInRequest } from './request';

/** Finds the scope that a user allows a client, including the scope of single claims, or the outcome that asks the user. */
export type ConsentStep = (
  request: SignedInRequest,
  pending: PendingRequest,
  decision: Decision | undefined,
) => Promise<{ readonly kind: 'allowed'; readonly scope: readonly string[] } | ConsentOutcome>;

interface ConsentOptions {
  question: ConsentQuestion;
  store: Pick<Store, 'getConsent' | 'saveConsent'>;
  clock: () => number;
  reporter: EventReporter;
}

export function createConsentStep(options: ConsentOptions): ConsentStep {
  const { question, store, clock, reporter } = options;

  return async (requested, pending, decision) => {
    const request = withScopeOfClaims(requested);
    // Neither another user's decision counts nor one about another destination: the user who is signed in now is asked.
    const made = decision?.userId === request.userId ? decision : beforeDeparture(pending);
    const counted = made?.redirectUri === request.redirectUri ? made : undefined;
    if (counted) return { kind: 'allowed', scope: await decided(request, counted) };
    if (await isSilent(request)) return { kind: 'allowed', scope: request.scope };
    if (request.prompt.includes('none')) throw consentRequired('The user has not allowed this');
    return question(request, pending, request);
  };

  async function decided(
    request: SignedInRequest,
    decision: Pick<Decision, 'scope' | 'allowed'>,
  ): Promise<readonly string[]> {
    const { client, userId } = request;
    const event = { clientId: client.clientId, userId };
    if (!decision.allowed) {
      reporter.emit('consent.denied', event);
      throw accessDenied('The user denied the request');
    }
    const scope = request.scope.filter((value) => decision.scope.includes(value));
    await remember({ ...request, scope });
    reporter.emit('consent.given', { ...event, scope: scope.join(' ') });
    return scope;
  }

  async function isSilent(request: SignedInRequest): Promise<boolean> {
    if (isAskedEachTime(request) || request.prompt.includes('consent')) return false;
    return request.client.firstParty || covers(await remembered(request), request);
  }

  async function remembered({ client, userId }: SignedInRequest): Promise<Consent | undefined> {
    const consent = await store.getConsent?.(userId, client.clientId);
    return consent && consent.grantedAt >= client.grantsNotBefore * 1000 ? consent : undefined;
  }

  async function remember(request: SignedInRequest): Promise<void> {
    if (!store.saveConsent || isAskedEachTime(request)) return;
    const { client, userId, scope, resources } = request;
    const before = await remembered(request);
    // Scope that was allowed before stays allowed, unless it was for other audiences.
    const kept = before && sameValues(before.resources, resources) ? before.scope : [];
    await store.saveConsent({
      userId,
      clientId: client.clientId,
      scope: [...new Set([...kept, ...scope])],
      resources,
      grantedAt: clock(),
    });
  }
}

/** Adds the scope values that requested single claims belong to, as far as the client is registered for them. */
export function withScopeOfClaims<Request extends AuthorizationRequest>(request: Request): Request {
  const implied = scopeOfClaims(request.claims).filter((value) => request.client.scope.includes(value));
  return { ...request, scope: [...new Set([...request.scope, ...implied])] };
}

/** Returns the decision of the browser that has left for a provider and come back. */
function beforeDeparture({
  progress,
}: PendingRequest): Pick<Decision, 'scope' | 'redirectUri' | 'allowed'> | undefined {
  const { allowed, providerUser } = progress;
  return allowed && providerUser ? { ...allowed, allowed: true } : undefined;
}

/**
 * Whether no earlier consent counts. Neither a code that is copied by hand nor an app that could be another shows where the code goes.
 * The id of a client that introduces itself is the same at all servers: a malicious server could send its own users here with it, and
 * get their codes.
 */
function isAskedEachTime(request: SignedInRequest): boolean {
  return request.outOfBand !== undefined || request.client.selfAsserted || isImpersonable(request);
}

/** Whether another app could pose as this client and get a code unnoticed (RFC 8252 §8.6). */
function isImpersonable({ client, redirectUri }: SignedInRequest): boolean {
  return !client.confidential && isNativeRedirectUri(redirectUri);
}

function covers(consent: Consent | undefined, { scope, resources }: SignedInRequest): boolean {
  if (!consent) return false;
  return (
    scope.every((value) => consent.scope.includes(value)) &&
    resources.every((value) => consent.resources.includes(value))
  );
}

function sameValues(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((value) => others.includes(value));
}
