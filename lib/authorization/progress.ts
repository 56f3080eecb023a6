import type { OAuthUser } from '../host/user';
import type { LinkPermission } from '../linking/tickets';
import type { Parameters } from '../http/parameters';

/** The progress of an authorization request. */
export interface Progress {
  /** When the request first arrived. Epoch milliseconds. */
  readonly startedAt: number;
  /** How often the browser was sent to the login or to a provider. */
  readonly detours: number;
  /** Whether the user was asked to sign in on the last detour, by the login or by a provider. */
  readonly asked?: boolean | undefined;
  /** The id under which the request is parked, if it is. */
  readonly parkedId?: string | undefined;
  /** The id of a request that gives one code only: issuing the code spends it. */
  readonly onceId?: string | undefined;
  /** The id under which the request was pushed, if it was. */
  readonly pushedId?: string | undefined;
  /** Whether the client has signed the request. */
  readonly signed?: boolean | undefined;
  /** What was allowed in this browser before it left for a provider. A resume URL does not contain it. */
  readonly allowed?: { readonly scope: readonly string[]; readonly redirectUri: string } | undefined;
  /** The user who has signed in through a provider. A resume URL does not contain it. */
  readonly providerUser?: ProviderUser | undefined;
}

/** A user who has signed in, or linked an account, through a provider. */
export interface ProviderUser {
  readonly providerId: string;
  readonly type: 'authenticate' | 'link';
  readonly isNewUser: boolean;
  /** The transaction that the browser left with: the request continues in that browser only. */
  readonly transactionId: string;
  readonly user: OAuthUser;
  /** The maximum scope that may be granted: the scope of the token that identified the user of a link. */
  readonly scopeLimit: readonly string[] | undefined;
  /** The permission that identified the user: it must stand until the code is issued. */
  readonly permission: LinkPermission | undefined;
}

/** An authorization request that is in progress: the parameters of its client, and how far it has come. */
export interface PendingRequest {
  readonly parameters: Parameters;
  readonly progress: Progress;
}
