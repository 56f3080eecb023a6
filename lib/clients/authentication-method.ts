import type { Request } from 'express';

import type { ClientAuthenticationMethodName } from '../adapters/contract';
import type { NetworkOfSender } from '../http/network';
import type { Parameters } from '../http/parameters';
import type { ClientRecord } from './client';

/** The credentials in a request, as one authentication method reads them. */
export interface PresentedCredentials {
  /** The method, or the methods that look the same until the client is known. */
  readonly methods: readonly ClientAuthenticationMethodName[];
  /** The client ids that the credentials may belong to, in the order to try: usually one. */
  readonly clientIds: readonly string[];
  /** The challenge of a refusal, for a client that used the Authorization header (RFC 6749 §5.2). */
  readonly challenge?: string;
  /** Checks the credentials against the client. Returns the fault, for the operator, or `undefined`. */
  fault(record: ClientRecord, source: NetworkOfSender): Promise<string | undefined>;
}

/** Reads the credentials of a request. Returns `undefined` if the request does not use this method. */
export type ClientAuthenticationMethod = (
  req: Request,
  parameters: Parameters,
) => PresentedCredentials | undefined;
