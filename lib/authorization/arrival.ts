import type { PresentedKeys } from '../clients/identification';
import type { OAuthError } from '../errors';
import type { ProviderIdentity } from '../federation/identity';
import type { ResolvedUser, ResolveUserContext } from '../federation/resolve-user';
import type { OAuthUser } from '../host/user';
import type { UpstreamResponse } from '../federation/upstream';
import type { PendingRequest } from './progress';
import type { ProviderTransaction } from './provider-transactions';

/** An authorization request at one of the endpoints that it passes. */
export type Arrival = RequestArrival | UnreadableArrival | ReturnedArrival | DecidedArrival;

interface AnyArrival extends PendingRequest {
  /** The endpoint to name in the event if the request is refused. */
  readonly endpoint: 'authorize' | 'callback';
}

/** A request from the client, or one that continues after the login. */
export interface RequestArrival extends AnyArrival {
  readonly kind: 'request';
  /** The publishable keys of a request that arrives for the first time. */
  readonly keys: PresentedKeys | undefined;
  /** Whether the app asks for the URL to go to, instead of a redirect. */
  readonly asJson: boolean;
}

/** A request that cannot be read. If its parameters identify the client, the client is told the reason. */
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
  /** The provider's response, which has not been checked; `undefined` after the user was asked about a link. */
  readonly response: UpstreamResponse | undefined;
  /** Asks the host's `resolveUser`, with the request and response of the callback. */
  readonly resolveUser: ResolveReturnedUser;
  /** Returns the user who is signed in at the host. */
  readonly signedInUser: () => Promise<OAuthUser | undefined>;
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

/** A decision on the consent page. The form sealed the user, or the browser before a sign-in at a provider, and the scope. */
export interface Decision {
  readonly userId: string | undefined;
  readonly browserId: string | undefined;
  /** The scope and the redirect URI that were shown. */
  readonly scope: readonly string[];
  readonly redirectUri: string;
  readonly allowed: boolean;
}
