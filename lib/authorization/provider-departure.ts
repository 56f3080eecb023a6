import type { Request } from 'express';

import { accessDenied, invalidTarget, loginRequired } from '../errors';
import type { UpstreamRequest } from '../federation/upstream';
import { signedInUser, type Authenticate } from '../host/authenticate';
import type { OAuthUser } from '../host/user';
import type { LinkTokens } from '../linking/link-token';
import { unusable, type LinkPermission } from '../linking/tickets';
import type { Policies } from '../policy/policies';
import type { Subjects } from '../tokens/subject';
import type { ProviderOutcome } from './outcome';
import type { PendingRequest, Progress } from './progress';
import {
  TRANSACTION_GRACE,
  type ProviderTransaction,
  type ProviderTransactions,
} from './provider-transactions';
import type { FindUpstream } from './providers';
import { grantContext, type FederatedRequest } from './request';
import { unmetRequirement } from './requirements';
import { refuseLong } from './resuming';

/** Begins a sign-in at a provider. @throws OAuthError if the provider fails, or the client's `token` does not allow it */
export type ProviderDeparture = (
  req: Request,
  request: FederatedRequest,
  pending: PendingRequest,
) => Promise<ProviderOutcome>;

interface ProviderDepartureOptions {
  findUpstream: FindUpstream;
  transactions: ProviderTransactions;
  linkTokens: LinkTokens;
  defaultAudience: string;
  subjects: Subjects;
  authenticate: Authenticate<OAuthUser>;
  policies: Policies;
  clock: () => number;
}

export function createProviderDeparture(options: ProviderDepartureOptions): ProviderDeparture {
  const { findUpstream, transactions, linkTokens, policies, clock } = options;

  return async (req, request, { parameters, progress }) => {
    const { client, prompt, maxAge, loginHint, uiLocales, federation } = request;
    const { providerId, type, token, extraScope } = federation;
    if (prompt.includes('none')) throw loginRequired('Signing in through a provider cannot be silent');
    refuseLong(parameters);
    const permission = token === undefined ? undefined : await linkTokens.read(token, client.clientId);
    if (permission) await checkPermission(req, permission, request, progress);

    const upstream = findUpstream(providerId, client);
    const transactionId = transactions.newId();
    const upstreamRequest: UpstreamRequest = {
      state: transactionId,
      extraScope,
      prompt,
      maxAge,
      loginHint,
      uiLocales,
    };
    const { url, checks } = await upstream.authorizationUrl(upstreamRequest);
    // Spent only now, so that none of the failures above costs the ticket.
    await permission?.spend();

    const context = grantContext(request);
    const lifetime = policies.federationLifetime(context);
    const transaction: ProviderTransaction = {
      providerId,
      type,
      current: permission,
      progress,
      entries: parameters.entries().filter(([name]) => name !== 'token'),
      checks,
      expiresAt: clock() + lifetime * 1000,
    };
    await transactions.save(transactionId, transaction, lifetime);
    return {
      kind: 'provider',
      url,
      transactionId,
      // The consent page that follows belongs to the same browser.
      lifetime: lifetime + Math.max(TRANSACTION_GRACE, policies.consentLifetime(context)),
      crossSite: upstream.provider.responseMode === 'form_post',
    };
  };

  /**
   * Checks that the token fits the user who is signed in, and the request. Otherwise a URL with a ticket would link the account
   * of anyone who opens it to the user that the ticket names.
   */
  async function checkPermission(
    req: Request,
    { userId, authTime, acr }: LinkPermission,
    request: FederatedRequest,
    progress: Progress,
  ): Promise<void> {
    const { authenticate, subjects, defaultAudience } = options;
    const { resources, federation } = request;
    const signedIn = await signedInUser(authenticate, req);
    if (signedIn && String(signedIn.id) !== userId)
      throw accessDenied('The token does not identify the user who is signed in');
    // A user who links an account does not sign in: the token must already meet the requirements of the request.
    const user = { id: userId, authTime, acr };
    const unmet =
      federation.type === 'link'
        ? unmetRequirement(user, request, progress, { now: clock(), subjects })
        : undefined;
    if (unmet !== undefined) throw unusable(`not satisfied by the token: ${unmet}`);
    // The token was not valid at any other API.
    if (resources.some((resource) => resource !== defaultAudience))
      throw invalidTarget('The token is not for this resource');
  }
}
