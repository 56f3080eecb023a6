import type { Request, Response } from 'express';

import type { Client } from '../clients/client';

/** What goes with an identity. */
export interface ResolveUserContext {
  /** To sign in, or to link the identity to `currentUser`. */
  readonly type: 'authenticate' | 'link';
  /** Whom the client's `token` is of: always there to link. It is the token that says so, and nobody's session. */
  readonly currentUser: { readonly id: string } | undefined;
  readonly client: Client;
  /** The access token of the provider, to ask it for more. */
  readonly accessToken: string;
  /** The callback's: the host may start its own session. It must not answer. */
  readonly request: Request;
  readonly response: Response;
}
