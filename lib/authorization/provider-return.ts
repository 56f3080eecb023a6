import type { Client } from '../clients/client';
import { accessDenied, serverError } from '../errors';
import type { EventReporter } from '../events';
import type { ProviderIdentity } from '../federation/identity';
import type { ProviderTokenStore } from '../federation/provider-tokens';
import type { ResolvedUser } from '../federation/resolve-user';
import { authTimeOf, essentialsOf, userIdOf, type OAuthUser } from '../host/user';
import type { LinkPermission } from '../linking/tickets';
import type { ReturnedArrival } from './arrival';
import type { ProviderUser } from './progress';
import type { FindUpstream } from './providers';

/** Completes a sign-in at a provider. @throws OAuthError if the provider, or the host's `resolveUser`, refuses the user */
export type ProviderReturn = (arrival: ReturnedArrival, client: Client) => Promise<ProviderUser>;

export function createProviderReturn(options: {
  findUpstream: FindUpstream;
  providerTokens: ProviderTokenStore;
  clock: () => number;
  reporter: EventReporter;
}): ProviderReturn {
  const { findUpstream, providerTokens, clock, reporter } = options;

  return async ({ transaction, transactionId, response, resolveUser }, client) => {
    const { providerId, type, current, checks, expiresAt } = transaction;
    if (clock() >= expiresAt) throw accessDenied('The transaction expired');
    const { identify, provider } = findUpstream(providerId, client);
    const { identity, tokens } = await identify(response, checks);
    const user = await resolveUser(identity, {
      type,
      currentUser: current && { id: current.userId },
      client,
      accessToken: tokens.accessToken,
    });
    const userId = userIdOf(user, client);
    const isNewUser = user.isNew ?? false;
    const isCurrent = userId === current?.userId;
    if (type === 'link' && !isCurrent)
      throw serverError(new Error('resolveUser must return currentUser for a link'));
    if (provider.storeTokens) {
      await providerTokens.save({ userId, providerId, subject: identity.subject }, tokens);
    }
    reporter.emit('provider.signed_in', { clientId: client.clientId, userId, providerId, type, isNewUser });
    return {
      providerId,
      type,
      isNewUser,
      transactionId,
      user: signedInAs(user, identity, isCurrent ? current : undefined),
      scopeLimit: isCurrent ? current.scope : undefined,
    };
  };
}

/**
 * Combines the host's user with the facts about the sign-in. For a sign-in, these come from the provider; for a link, from the
 * token, because a user who links an account has only shown that they own this account.
 */
function signedInAs(
  user: ResolvedUser,
  identity: ProviderIdentity,
  current: LinkPermission | undefined,
): OAuthUser {
  const essentials = essentialsOf(user);
  return {
    ...essentials,
    authTime: authTimeOf(user) ?? (current ? current.authTime : identity.authTime),
    acr: essentials.acr === undefined ? current?.acr : essentials.acr,
    amr: essentials.amr === undefined ? current?.amr : essentials.amr,
  };
}
