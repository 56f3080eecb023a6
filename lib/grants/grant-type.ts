import type { Request } from 'express';

import type { Store } from '../adapters/store';
import type { Client } from '../clients/client';
import type { EventReporter } from '../events';
import type { Parameters } from '../http/parameters';
import type { Confirmation } from '../tokens/access-token';
import type { GrantReference, GrantTokens } from '../tokens/grant-token';
import type { SubjectMaker } from './anonymous-subject';
import type { Audiences } from './audiences';
import type { Grant } from './grant';
import type { Policies } from './policy';
import type { TokenIssuer, TokenSet } from './token-issuer';

/** A token request of a client that has authenticated, and may use this grant type. */
export interface TokenRequest {
  readonly client: Client;
  readonly parameters: Parameters;
  /** The grant token of the request, if it is one of ours. */
  readonly reference: GrantReference | undefined;
  /** Its grant, as it was read along with the client. */
  readonly grant: Grant | undefined;
  /** What the client has proven to have: tokens are bound to it. */
  readonly confirmation: Confirmation | undefined;
  readonly req: Request;
}

/** A value of `grant_type`. */
export interface GrantType {
  readonly name: string;
  /** The grant token in the request, read without I/O: its grant is fetched together with the client. */
  reference?(parameters: Parameters): GrantReference | undefined;
  respond(request: TokenRequest): Promise<TokenSet>;
}

/** What the grant types are made of. */
export interface GrantTypeOptions {
  store: Store;
  grantTokens: GrantTokens;
  issue: TokenIssuer;
  audiences: Audiences;
  policies: Policies;
  /** Makes the user of a code that has none, and gives its id. */
  anonymousSubject: SubjectMaker;
  clock: () => number;
  reporter: EventReporter;
}
