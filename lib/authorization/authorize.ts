import type { Request, Response } from 'express';

import type { Client } from '../clients/client';
import { invalidPublishableKey, publishableKeyFault, type PresentedKeys } from '../clients/identification';
import { asOAuthError } from '../errors';
import type { BrowserBinding } from '../federation/browser-binding';
import { signedInUser, type Authenticate } from '../host/authenticate';
import type { OAuthUser } from '../host/user';
import { secretOutOfPlace } from '../http/parameters';
import type { Arrival } from './arrival';
import type { Interact } from './interact';
import type { ErrorOutcome, Outcome } from './outcome';
import type { ProviderReturn } from './provider-return';
import type { FindTarget, RedirectTarget } from './redirect-target';
import type { PendingRequest } from './progress';
import type { AuthorizationRequest, Validate } from './request';
import type { Respond } from './respond';

/** Processes an authorization request from its arrival to its response. @throws OAuthError that must not be redirected */
export type Authorize = (req: Request, res: Response, arrival: Arrival) => Promise<void>;

/** The steps of an authorization request. Only `respond` touches the response. */
export interface AuthorizeSteps {
  binding: Pick<BrowserBinding, 'isBound'>;
  authenticate: Authenticate<OAuthUser>;
  findTarget: FindTarget;
  providerReturn: ProviderReturn;
  validate: Validate;
  /** Returns the URL at which a browser continues a request. */
  reloadUrl: (pending: PendingRequest, request: AuthorizationRequest) => Promise<string>;
  interact: Interact;
  respond: Respond;
}

export function createAuthorize(steps: AuthorizeSteps): Authorize {
  const { authenticate, binding, findTarget, providerReturn, validate, reloadUrl, interact, respond } = steps;

  return async function authorize(req, res, arrival) {
    const found = await findTarget(req, arrival.parameters);
    const asJson = 'asJson' in arrival && arrival.asJson && found.client.jsonRedirects;
    const target = { ...found, asJson };
    checkKeys(target.client, arrival);
    const outcome = await outcomeOf(req, target, arrival);
    // A hook responded before it failed: its response is kept.
    if (outcome.kind === 'error' && res.headersSent) throw outcome.error;
    try {
      await respond(req, res, target, outcome);
    } catch (thrown) {
      // The host's login or consent page failed. If it had already responded, its response is kept.
      if (res.headersSent || outcome.kind === 'error') throw thrown;
      await respond(req, res, target, await errorOutcome(thrown, req, target, arrival));
    }
  };

  async function outcomeOf(req: Request, target: RedirectTarget, arrival: Arrival): Promise<Outcome> {
    try {
      if (arrival.kind === 'unreadable') throw arrival.error;
      const returned = arrival.kind === 'returned' ? await providerReturn(arrival, target.client) : undefined;
      if (returned?.kind === 'link') return returned;
      const { parameters, progress } = arrival;
      const pending = {
        parameters,
        progress: { ...progress, ...(returned && { providerUser: returned.providerUser }) },
      };
      const request = validate(target, pending.parameters, pending.progress);
      if (target.asJson) return { kind: 'reload', url: await reloadUrl(pending, request) };
      const decision = arrival.kind === 'decided' ? arrival.decision : undefined;
      return await interact(req, request, pending, decision);
    } catch (thrown) {
      return errorOutcome(thrown, req, target, arrival);
    }
  }

  async function errorOutcome(
    thrown: unknown,
    req: Request,
    { client }: RedirectTarget,
    arrival: Arrival,
  ): Promise<ErrorOutcome> {
    const { endpoint, progress } = arrival;
    const returned = 'transactionId' in arrival ? arrival.transactionId : undefined;
    return {
      kind: 'error',
      error: asOAuthError(thrown),
      endpoint,
      transactionId: returned ?? progress.providerUser?.transactionId,
      // RFC 9700 §4.11.2: where anybody can be a client, an error for a stranger would be a redirect to any site.
      isShown: client.selfAsserted && !(await isKnown(req, arrival)),
    };
  }

  /** Whether the person in front of the browser is signed in, or has made a decision in it. */
  async function isKnown(req: Request, arrival: Arrival): Promise<boolean> {
    const { progress } = arrival;
    const browserId = arrival.kind === 'decided' ? arrival.decision.browserId : undefined;
    const { transactionId = browserId } = progress.providerUser ?? (arrival as { transactionId?: string });
    if (transactionId !== undefined && binding.isBound(req, transactionId)) return true;
    const user = await signedInUser(authenticate, req).catch(() => undefined);
    return user !== undefined;
  }
}

/**
 * Checks the publishable keys of a request. Such a key names the client; a secret authenticates it, and must not be in a URL.
 *
 * @throws OAuthError that must not be redirected
 */
function checkKeys(client: Client, arrival: Arrival): void {
  const keys: PresentedKeys | undefined = 'keys' in arrival ? arrival.keys : undefined;
  if (!keys) return;
  const { inParameters: key } = keys;
  const mayBeSecret = client.confidential && !client.publishableKeys.includes(key ?? '');
  if (key !== undefined && (mayBeSecret || !client.publishableKeyInQuery)) {
    throw secretOutOfPlace('client_secret');
  }
  const fault = publishableKeyFault(client, keys);
  if (fault !== undefined) throw invalidPublishableKey(fault);
}
