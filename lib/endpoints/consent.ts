import type { Request, RequestHandler, Response } from 'express';

import type { Consent } from '../adapters/contract';
import type { Store } from '../adapters/store';
import type { Client } from '../clients/client';
import { isNativeRedirectUri, isOutOfBandUri } from '../clients/redirect-uris';
import { OAuthError } from '../errors';
import type { EventReporter } from '../events';
import type { Policies } from '../grants/policy';
import { userNameOf, type OAuthUser } from '../grants/user';
import { scopeOfClaims } from '../grants/user-claims';
import { bodyParameters } from '../http/body';
import { endpoint, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseFaults, refuseSecrets, required } from '../http/parameters';
import { consentPage, type ConsentView } from '../pages/consent';
import { protectPage, type Page } from '../pages/layout';
import type { Sealer } from '../tokens/keys';
import { grantContext, type Decision, type SignedInRequest } from './authorization-request';
import type { Authorize } from './authorization';
import type { Carried, Resumed, Resumption } from './resumption';

/** What a consent page of the host's gets: it posts `request` and `decision` (`allow` or `deny`) to `action`. */
export interface ConsentContext extends ConsentView {
  readonly client: Client;
  readonly user: OAuthUser;
}

/** A host's own consent page. It answers the request, whose headers already keep it from being framed or kept. */
export type ConsentHandler = (req: Request, res: Response, context: ConsentContext) => unknown;

/** Gives the scope that the user allows the client, that of single claims included; or answers the request, and gives `undefined`. */
export type ConsentStep = (
  req: Request,
  res: Response,
  request: SignedInRequest,
  resumed: Resumed,
  decision: Decision | undefined,
) => Promise<readonly string[] | undefined>;

interface ConsentOptions {
  consentUrl: string;
  defaultAudience: string;
  /** The words for a scope value. */
  scopes: Readonly<Record<string, string>>;
  handler: ConsentHandler | undefined;
  sealer: Sealer;
  resumption: Resumption;
  store: Store;
  policies: Policies;
  page: Page;
  clock: () => number;
  reporter: EventReporter;
}

/** The seal of a request with all of its scope. Characters. */
const MAXIMUM_FORM_LENGTH = 65_536;

/** The words for the scope values of OpenID Connect Core §5.4 and §11, unless the host has others. */
const STANDARD_SCOPES: Readonly<Record<string, string>> = {
  openid: 'Know who you are',
  profile: 'See your name and profile',
  email: 'See your email address',
  address: 'See your postal address',
  phone: 'See your phone number',
  offline_access: 'Keep access while you are away',
};

/** What the form of a consent page carries, sealed: nobody can change it, or make one for another user. */
interface Form extends Carried {
  readonly userId: string;
  readonly scope: readonly string[];
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** The consent step of an authorization request. */
export function consentStep(options: ConsentOptions): ConsentStep {
  const {
    consentUrl,
    defaultAudience,
    scopes,
    handler,
    sealer,
    resumption,
    store,
    policies,
    page,
    clock,
    reporter,
  } = options;

  return async (req, res, requested, resumed, decision) => {
    const request = withScopeOfClaims(requested);
    // A decision of somebody else is none: who is signed in now is asked.
    if (decision?.userId === request.userId) return decided(request, decision);
    if (await isSilent(request)) return request.scope;
    if (request.prompt.includes('none'))
      throw new OAuthError('consent_required', 'The user has not allowed this');
    await ask(req, res, request, resumed);
    return undefined;
  };

  async function decided(request: SignedInRequest, decision: Decision): Promise<readonly string[]> {
    const { client, userId } = request;
    const subject = { clientId: client.clientId, userId };
    if (!decision.allowed) {
      reporter.emit('consent.denied', subject);
      throw new OAuthError('access_denied', 'The user denied the request');
    }
    const scope = request.scope.filter((value) => decision.scope.includes(value));
    await remember({ ...request, scope });
    reporter.emit('consent.given', { ...subject, scope: scope.join(' ') });
    return scope;
  }

  async function isSilent(request: SignedInRequest): Promise<boolean> {
    // A code that is copied has nothing that says where it goes: the user is asked each time.
    const isCopied = request.outOfBand !== undefined;
    if (isCopied || request.prompt.includes('consent') || isImpersonable(request)) return false;
    return request.client.firstParty || covers(await remembered(request), request);
  }

  async function remembered({ client, userId }: SignedInRequest): Promise<Consent | undefined> {
    const consent = (await store.getConsent?.(userId, client.clientId)) ?? undefined;
    return consent && consent.grantedAt >= client.grantsNotBefore * 1000 ? consent : undefined;
  }

  async function remember(request: SignedInRequest): Promise<void> {
    if (!store.saveConsent || isImpersonable(request)) return;
    const { client, userId, scope, resources } = request;
    const before = await remembered(request);
    // What was allowed before stays so, unless it was for other audiences.
    const kept = before && sameValues(before.resources, resources) ? before.scope : [];
    await store.saveConsent({
      userId,
      clientId: client.clientId,
      scope: [...new Set([...kept, ...scope])],
      resources,
      grantedAt: clock(),
    });
  }

  function words(scope: string): string {
    return [scopes, STANDARD_SCOPES].find((known) => Object.hasOwn(known, scope))?.[scope] ?? scope;
  }

  async function ask(req: Request, res: Response, request: SignedInRequest, resumed: Resumed): Promise<void> {
    const { client, user, userId, scope } = request;
    const context = grantContext(request);
    const lifetime = policies.parkedRequestLifetime(context);
    // So that a sign-in through a provider, which nobody asks for again, gives one code.
    const always = resumed.progress.signedIn !== undefined;
    const parked = await resumption.park(resumed, { always, lifetime });
    const expiresAt = clock() + policies.consentLifetime(context) * 1000;
    const form: Form = { ...resumption.carried(parked), userId, scope, expiresAt };
    const { clientUri, logoUri, policyUri, tosUri } = client.metadata;
    const view: ConsentView = {
      clientName: client.clientName,
      clientUri,
      logoUri,
      policyUri,
      tosUri,
      destination: destinationOf(request.redirectUri),
      userName: userNameOf(user),
      scopes: scope.map((value) => ({
        value,
        description: words(value),
      })),
      resources: request.resources.filter((resource) => resource !== defaultAudience),
      action: consentUrl,
      request: sealer.seal(JSON.stringify(form)),
    };
    if (!handler) return page(res, 200, consentPage(view));
    protectPage(res);
    await handler(req, res, { ...view, client, user });
  }
}

interface ConsentEndpointOptions {
  authorize: Authorize;
  sealer: Sealer;
  resumption: Resumption;
  clock: () => number;
  frame: EndpointFrame;
  respond: (req: Request, res: Response, error: OAuthError) => void;
}

/** `POST /consent`: where the form of the consent page goes. The whole request is checked again. */
export function consentEndpoint(options: ConsentEndpointOptions): RequestHandler {
  const { authorize, sealer, resumption, clock, frame, respond } = options;

  return endpoint(frame, { name: 'consent', methods: ['POST'], respond }, async (req, res) => {
    refuseSecrets(queryParameters(req.url));
    const parameters = await bodyParameters(req, { maximumLength: MAXIMUM_FORM_LENGTH });
    refuseFaults(parameters);
    const text = sealer.open(required(parameters, 'request'));
    const form = text === undefined ? undefined : (JSON.parse(text) as Form);
    if (!form || clock() >= form.expiresAt)
      throw new OAuthError('invalid_request', 'This page was open for too long');
    const answer = required(parameters, 'decision');
    if (answer !== 'allow' && answer !== 'deny')
      throw new OAuthError('invalid_request', 'decision is unknown');

    const { userId, scope } = form;
    await authorize(req, res, await resumption.restore(form), { userId, scope, allowed: answer === 'allow' });
  });
}

/** Who asks for single claims asks for what they stand for, as far as the client may have it. */
function withScopeOfClaims(request: SignedInRequest): SignedInRequest {
  const implied = scopeOfClaims(request.claims).filter((value) => request.client.scope.includes(value));
  return { ...request, scope: [...new Set([...request.scope, ...implied])] };
}

/** RFC 8252 §8.6: another app could pose as this client and get a code without anybody noticing. */
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
