import type { Consent } from '../adapters/contract';
import type { Store } from '../adapters/store';
import { isNativeRedirectUri, isOutOfBandUri } from '../clients/redirect-uris';
import { accessDenied, consentRequired } from '../errors';
import type { EventReporter } from '../event-reporter';
import { scopeOfClaims } from '../host/standard-claims';
import { userNameOf } from '../host/user';
import type { ConsentView } from '../pages/consent';
import type { Policies } from '../policy/policies';
import type { SealedJson } from '../tokens/sealed-json';
import type { Decision } from './arrival';
import type { ConsentOutcome } from './outcome';
import type { PendingRequest } from './progress';
import { grantContext, type SignedInRequest } from './request';
import type { Carried, Resuming } from './resuming';

/** Finds the scope that a user allows a client, including the scope of single claims, or the outcome that asks the user. */
export type ConsentStep = (
  request: SignedInRequest,
  pending: PendingRequest,
  decision: Decision | undefined,
) => Promise<{ readonly kind: 'allowed'; readonly scope: readonly string[] } | ConsentOutcome>;

/** The contents of the consent page's form, sealed: they cannot be changed, or made for another user. */
export interface ConsentForm extends Carried {
  readonly userId: string;
  readonly scope: readonly string[];
}

interface ConsentOptions {
  consentUrl: string;
  defaultAudience: string;
  /** Descriptions of scope values. */
  scopes: Readonly<Record<string, string>>;
  consentForms: SealedJson<ConsentForm>;
  resuming: Resuming;
  store: Pick<Store, 'getConsent' | 'saveConsent'>;
  policies: Policies;
  clock: () => number;
  reporter: EventReporter;
}

/** Descriptions of the scope values of OpenID Connect Core §5.4 and §11, unless the host has its own. */
const STANDARD_SCOPES: Readonly<Record<string, string>> = {
  openid: 'Know who you are',
  profile: 'See your name and profile',
  email: 'See your email address',
  address: 'See your postal address',
  phone: 'See your phone number',
  offline_access: 'Keep access while you are away',
};

export function createConsentStep(options: ConsentOptions): ConsentStep {
  const { store, clock, reporter } = options;
  const ask = createConsentQuestion(options);

  return async (requested, pending, decision) => {
    const request = withScopeOfClaims(requested);
    // Another user's decision does not count: the user who is signed in now is asked.
    if (decision?.userId === request.userId)
      return { kind: 'allowed', scope: await decided(request, decision) };
    if (await isSilent(request)) return { kind: 'allowed', scope: request.scope };
    if (request.prompt.includes('none')) throw consentRequired('The user has not allowed this');
    return ask(request, pending);
  };

  async function decided(request: SignedInRequest, decision: Decision): Promise<readonly string[]> {
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
    // A code that is copied by hand does not show where it goes: the user is asked each time.
    const isCopied = request.outOfBand !== undefined;
    if (isCopied || request.prompt.includes('consent') || isImpersonable(request)) return false;
    return request.client.firstParty || covers(await remembered(request), request);
  }

  async function remembered({ client, userId }: SignedInRequest): Promise<Consent | undefined> {
    const consent = await store.getConsent?.(userId, client.clientId);
    return consent && consent.grantedAt >= client.grantsNotBefore * 1000 ? consent : undefined;
  }

  async function remember(request: SignedInRequest): Promise<void> {
    if (!store.saveConsent || isImpersonable(request)) return;
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

/** Creates the outcome that asks a user for consent. */
function createConsentQuestion(options: ConsentOptions) {
  const { consentUrl, defaultAudience, scopes, consentForms, resuming, policies, clock } = options;

  return async (request: SignedInRequest, pending: PendingRequest): Promise<ConsentOutcome> => {
    const { client, user, userId, scope } = request;
    const context = grantContext(request);
    const lifetime = policies.parkedRequestLifetime(context);
    // After a sign-in through a provider the request gives one code only: the sign-in cannot be repeated.
    const once = pending.progress.providerUser !== undefined;
    const parked = await resuming.parkForUser(pending, { once, lifetime });
    const form: ConsentForm = { ...resuming.carry(parked), userId, scope };
    const { clientUri, logoUri, policyUri, tosUri } = client.metadata;
    const view: ConsentView = {
      clientName: client.clientName,
      clientUri,
      logoUri,
      policyUri,
      tosUri,
      destination: destinationOf(request.redirectUri),
      userName: userNameOf(user),
      scopes: scope.map((value) => ({ value, description: describe(value) })),
      resources: request.resources.filter((resource) => resource !== defaultAudience),
      action: consentUrl,
      request: consentForms.seal(form, clock() + policies.consentLifetime(context) * 1000),
    };
    return { kind: 'consent', context: { ...view, client, user } };
  };

  function describe(scope: string): string {
    return [scopes, STANDARD_SCOPES].find((known) => Object.hasOwn(known, scope))?.[scope] ?? scope;
  }
}

/** Adds the scope values that requested single claims belong to, as far as the client is registered for them. */
function withScopeOfClaims(request: SignedInRequest): SignedInRequest {
  const implied = scopeOfClaims(request.claims).filter((value) => request.client.scope.includes(value));
  return { ...request, scope: [...new Set([...request.scope, ...implied])] };
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

function destinationOf(redirectUri: string): string {
  if (isOutOfBandUri(redirectUri)) return 'a page with a code to copy';
  const { protocol, host } = new URL(redirectUri);
  return /^https?:$/.test(protocol) ? host : `the app for ${protocol}`;
}
