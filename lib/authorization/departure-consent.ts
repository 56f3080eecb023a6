import type { Request } from 'express';

import { accessDenied } from '../errors';
import type { EventReporter } from '../event-reporter';
import type { BrowserBinding } from '../federation/browser-binding';
import type { Decision } from './arrival';
import { withScopeOfClaims } from './consent';
import type { ConsentQuestion } from './consent-question';
import type { ConsentOutcome } from './outcome';
import type { PendingRequest } from './progress';
import type { ProviderTransactions } from './provider-transactions';
import type { AuthorizationRequest } from './request';

/**
 * Asks for consent before the browser leaves for a provider, if nobody vouches for the client: the provider may know the user and this
 * server, and would send the browser back without asking anybody. Returns the request with the consent, or the page that asks.
 */
export type DepartureConsent = (
  req: Request,
  request: AuthorizationRequest,
  pending: PendingRequest,
  decision: Decision | undefined,
) => Promise<{ readonly kind: 'allowed'; readonly pending: PendingRequest } | ConsentOutcome>;

export function createDepartureConsent(options: {
  question: ConsentQuestion;
  binding: Pick<BrowserBinding, 'isBound'>;
  transactions: Pick<ProviderTransactions, 'newId'>;
  reporter: EventReporter;
}): DepartureConsent {
  const { question, binding, transactions, reporter } = options;

  return async (req, requested, pending, decision) => {
    const request = withScopeOfClaims(requested);
    const { client, redirectUri } = request;
    // A request that asks nobody does not get to the provider either.
    if (!client.selfAsserted || request.prompt.includes('none')) return { kind: 'allowed', pending };
    // Bound to the browser: no other site can post the form for it.
    const browserId = decision?.browserId;
    const isOwn = browserId !== undefined && binding.isBound(req, browserId);
    if (!isOwn || decision?.redirectUri !== redirectUri)
      return question(request, pending, { browserId: transactions.newId() });
    if (!decision.allowed) {
      reporter.emit('consent.denied', { clientId: client.clientId });
      throw accessDenied('The user denied the request');
    }
    const progress = { ...pending.progress, allowed: { scope: decision.scope, redirectUri } };
    return { kind: 'allowed', pending: { ...pending, progress } };
  };
}
