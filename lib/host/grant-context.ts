import type { Client } from '../clients/client';

/** The facts about a grant that policies and hooks decide by. */
export interface GrantContext {
  /** The client that the grant is for. */
  readonly client: Client;
  /** The grant type of the token request; `authorization_code` also while the code is issued. */
  readonly grantType: string;
  /** The scope values of the grant. */
  readonly scope: readonly string[];
  /** The audiences of the grant (RFC 8707). */
  readonly resources: readonly string[];
  /** The user, or `undefined` where a client acts for itself. */
  readonly userId: string | undefined;
}

/** A fixed value, or a synchronous function that computes it for a grant. */
export type Policy<T> = T | ((context: GrantContext) => T);
