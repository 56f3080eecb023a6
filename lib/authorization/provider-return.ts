import type { Client } from '../clients/client';
import { accessDenied, serverError } from '../errors';
import type { EventReporter } from '../event-reporter';
import type { ProviderIdentity } from '../federation/identity';
import type { ProviderTokenStore } from '../federation/provider-tokens';
import type { ResolvedUser } from '../federation/resolve-user';
import { authTimeOf, essentialsOf, userIdOf, userNameOf, type OAuthUser } from '../host/user';
import { isJsonObject } from '../json';
import type { LinkTokens } from '../linking/link-token';
import type { LinkPermission } from '../linking/tickets';
import type { LinkView } from '../pages/link';
import { printable } from '../printable';
import type { SealedJson } from '../tokens/sealed-json';
import type { ReturnedArrival } from './arrival';
import type { LinkOutcome } from './outcome';
import type { ProviderUser } from './progress';
import { TRANSACTION_GRACE, type IdentifiedUser, type ProviderTransactions } from './provider-transactions';
import type { FindUpstream } from './providers';

/**
 * Completes a sign-in at a provider, or returns the page that must be answered first.
 *
 * @throws OAuthError if the provider, or the host's `resolveUser`, refuses the user
 */
export type ProviderReturn = (
  arrival: ReturnedArrival,
  client: Client,
) => Promise<{ readonly kind: 'user'; readonly providerUser: ProviderUser } | LinkOutcome>;

/** The contents of the form that links an account, sealed. */
export interface LinkForm {
  readonly transactionId: string;
}

export function createProviderReturn(options: {
  linkUrl: string;
  findUpstream: FindUpstream;
  transactions: ProviderTransactions;
  linkTokens: LinkTokens;
  linkForms: SealedJson<LinkForm>;
  providerTokens: ProviderTokenStore;
  clock: () => number;
  reporter: EventReporter;
}): ProviderReturn {
  const { findUpstream, transactions, linkTokens, linkForms, providerTokens, clock, reporter } = options;

  return async (arrival, client) => {
    const { transaction, transactionId, response, resolveUser } = arrival;
    const { providerId, type, current, checks, expiresAt } = transaction;
    if (clock() >= expiresAt) throw accessDenied('The transaction expired');
    const { identify, provider } = findUpstream(providerId, client);
    const identified = transaction.identified ?? (response && (await identify(response, checks)));
    if (!identified) throw serverError(new Error('the provider was not asked'));
    // Only now: the user may have been away for minutes, and the permission may have been withdrawn.
    const question = current && (await checkPermission(arrival, current, client, identified));
    if (question) return question;

    const { identity, tokens } = identified;
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
    const providerUser = {
      providerId,
      type,
      isNewUser,
      transactionId,
      user: signedInAs(user, identity, isCurrent ? current : undefined),
      scopeLimit: isCurrent ? current.scope : undefined,
      permission: isCurrent ? current : undefined,
    };
    return { kind: 'user', providerUser };
  };

  /**
   * Checks that a link's permission stands, and that the user who is signed in at the host is the one whom it names. If nobody is
   * signed in, returns the page that asks: the person here may have followed a link with somebody else's ticket.
   */
  async function checkPermission(
    { transaction, transactionId, response, signedInUser }: ReturnedArrival,
    permission: LinkPermission,
    client: Client,
    identified: IdentifiedUser,
  ): Promise<LinkOutcome | undefined> {
    const { user } = await linkTokens.require(permission);
    const signedIn = await signedInUser();
    if (signedIn) {
      if (String(signedIn.id) === permission.userId) return undefined;
      throw accessDenied('The token does not identify the user who is signed in');
    }
    const isAnswered = response === undefined;
    if (isAnswered) return undefined;

    const lifetime = Math.ceil((transaction.expiresAt - clock()) / 1000);
    await transactions.save(transactionId, { ...transaction, identified }, lifetime);
    return {
      kind: 'link',
      view: {
        providerId: transaction.providerId,
        identityName: identityNameOf(identified.identity),
        type: transaction.type,
        ...describeUser(user, permission.userId),
        clientName: client.selfAsserted ? 'the app' : client.clientName,
        action: options.linkUrl,
        request: linkForms.seal({ transactionId }, transaction.expiresAt + TRANSACTION_GRACE * 1000),
      },
    };
  }
}

/** Describes a user by the name that the user may have chosen, and by the address and the id that belong to nobody else. */
function describeUser(user: unknown, id: string): Pick<LinkView, 'userName' | 'userDetails'> {
  const known = isJsonObject(user) ? user : {};
  const userName = userNameOf({ ...known, id });
  const details = [typeof known.email === 'string' ? printable(known.email) : undefined, `id ${id}`];
  return {
    userName,
    userDetails: details.filter((detail) => detail !== undefined && detail !== userName) as string[],
  };
}

function identityNameOf({ email, username, name }: ProviderIdentity): string | undefined {
  const shown = email ?? username ?? name;
  return shown && printable(shown);
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
