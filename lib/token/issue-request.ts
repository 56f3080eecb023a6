import type { GrantContext } from '../host/grant-context';
import type { FederationFacts } from '../host/token-hooks';
import type { Authentication } from '../host/user';
import type { Confirmation } from '../tokens/access-token';

/** A request to issue tokens for a grant. */
export interface IssueRequest {
  readonly context: GrantContext;
  /** The facts about the user's sign-in. */
  readonly authentication?: Authentication | undefined;
  /** The key and certificate that the access token is bound to. */
  readonly confirmation?: Confirmation | undefined;
  /** The grant that the token belongs to. */
  readonly grantId?: string | undefined;
  /** The latest expiry of the access token. Epoch milliseconds. */
  readonly notAfter?: number | undefined;
  /** The sign-in through a provider, where a code came from one. */
  readonly federation?: FederationFacts | undefined;
  /** The contents of an ID token; without it, none is issued. */
  readonly idToken?: { readonly nonce?: string | undefined; readonly claims: readonly string[] } | undefined;
}
