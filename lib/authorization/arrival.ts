import type { PresentedKeys } from '../clients/identification';
import type { OAuthError } from '../errors';
import type { ProviderIdentity } from '../federation/identity';
import type { ResolvedUser, ResolveUserContext } from '../federation/resolve-user';
import type { UpstreamResponse } from '../federation/upstream';
import type { PendingRequest } from './progress';
import type { ProviderTransaction } from './provider-transactions';

/** An authorization request at one of the endpoints that it passes. */
export type Arrival = RequestArrival | UnreadableArrival | ReturnedArrival | DecidedArrival;

interface AnyArrival extends PendingRequest {
  /** The endpoint that the event of a refusal names. */
  readonly endpoint: 'authorize' | 'callback';
}

/** A request from the client, or one that continues after the login. */
export interface RequestArrival extends AnyArrival {
  readonly kind: 'request';
  /** The publishable keys of a request that arrives for the first time. */
  readonly keys: PresentedKeys | undefined;
}

/** A request that cannot be read, whose client must be told why if its parameters identify it. */
export interface UnreadableArrival extends AnyArrival {
  readonly kind: 'unreadable';
  readonly keys: PresentedKeys | undefined;
  readonly error: OAuthError;
  /** The transaction of a request that came back from a provider. */
  readonly transactionId?: string;
}

/** A request that comes back from a provider. */
export interface ReturnedArrival extends AnyArrival {
  readonly kind: 'returned';
  readonly transactionId: string;
  readonly transaction: ProviderTransaction;
  /** The provider's response, which has not been checked. */
  readonly response: UpstreamResponse;
  /** Asks the host's `resolveUser`, with the request and response of the callback. */
  readonly resolveUser: ResolveReturnedUser;
}

export type ResolveReturnedUser = (
  identity: ProviderIdentity,
  context: Omit<ResolveUserContext, 'request' | 'response'>,
) => Promise<ResolvedUser>;

/** A request that comes back from the consent page. */
export interface DecidedArrival extends AnyArrival {
  readonly kind: 'decided';
  readonly decision: Decision;
}

/** The decision of a user on the consent page, as its form sealed it. */
export interface Decision {
  readonly userId: string;
  /** The scope that was shown. */
  readonly scope: readonly string[];
  readonly allowed: boolean;
}
