import type { Request } from 'express';

import type { Client } from '../clients/client';
import { invalidGrant, type OAuthError } from '../errors';
import type { Grant } from '../grants/grant';
import type { Parameters } from '../http/parameters';
import type { Confirmation } from '../tokens/access-token';
import type { GrantReference } from '../tokens/grant-token';
import type { TokenSet } from './issuer';

/** A token request of an authenticated client that is registered for the grant type. */
export interface TokenRequest {
  readonly client: Client;
  readonly parameters: Parameters;
  /** The code or refresh token of the request, if it was issued here. */
  readonly reference: GrantReference | undefined;
  /** Its grant, which was read together with the client. */
  readonly grant: Grant | undefined;
  /** The key and certificate that the client has proven to hold. */
  readonly confirmation: Confirmation | undefined;
  readonly req: Request;
}

/** A value of `grant_type`. */
export interface GrantType {
  readonly name: string;
  /** Whether a host's function gets the parameters, those that this server does not know included. */
  readonly readsAllParameters?: boolean;
  /** Reads the code or refresh token of a request without I/O: its grant is fetched together with the client. */
  reference?(parameters: Parameters): GrantReference | undefined;
  respond(request: TokenRequest): Promise<TokenSet>;
}

/** Creates the error for a code or refresh token. The description never varies, so that a client cannot find out the reason. */
export function refusedGrant(what: 'authorization code' | 'refresh token', reason: string): OAuthError {
  return invalidGrant(`The ${what} is unknown or invalid`, { reason });
}
