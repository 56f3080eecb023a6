import type { Request, Response } from 'express';

import type { Client } from '../clients/client';
import type { Awaitable } from '../host/call';
import type { OAuthUser } from '../host/user';
import type { ProviderIdentity } from './identity';

/** The user that a link ticket identifies. */
export interface CurrentUser {
  /** The user's id, as a string. */
  readonly id: string;
}

/** The circumstances of a sign-in through a provider. */
export interface ResolveUserContext {
  /** Whether to sign in, or to link the identity to `currentUser`. */
  readonly type: 'authenticate' | 'link';
  /** The user that the client's `token` identifies, not the user of a session; always present for a link. */
  readonly currentUser: CurrentUser | undefined;
  /** The client that the user signs in to. */
  readonly client: Client;
  /** The provider's access token, for further requests to the provider. */
  readonly accessToken: string;
  /** The request of the callback. */
  readonly request: Request;
  /** The response of the callback: the host may start its own session with it, but must not send it. */
  readonly response: Response;
}

/** Says whether an account was just created. */
export interface NewUser {
  /** Whether the account was just created. @defaultValue `false` */
  isNew?: boolean | undefined;
}

/** A user of the host, as `resolveUser` returns it. */
export type ResolvedUser = OAuthUser & NewUser;

/**
 * Finds or creates the host's user for a provider's user. `undefined` or `null` refuses with `access_denied`; to refuse with
 * another error, throw an `OAuthError`.
 */
export type ResolveUser = (
  identity: ProviderIdentity,
  context: ResolveUserContext,
) => Awaitable<ResolvedUser | undefined | null>;
