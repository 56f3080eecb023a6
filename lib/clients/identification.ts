import type { Request } from 'express';

import { OAuthError } from '../errors';
import type { Parameters } from '../http/parameters';
import type { Client } from './client';

/** Headers by which apps say which client they are, as some systems have it. They prove nothing. */
export interface ClientHeaders {
  /** The header that has the client's id; `client_id` may be left out then. */
  id?: string;
  /** The header that has a publishable key of the client. */
  publishableKey?: string;
}

/** What a request says of its client apart from credentials. */
export interface ClientIdentification {
  /** By parameter or by header. @throws OAuthError `invalid_request` if they differ */
  clientId(req: Request, parameters: Parameters): string | undefined;
  /** The publishable key in the header. */
  publishableKey(req: Request): string | undefined;
}

export function clientIdentification(headers: ClientHeaders): ClientIdentification {
  const header = (req: Request, name: string | undefined): string | undefined => {
    const value = name === undefined ? undefined : req.get(name);
    // As a parameter: an empty one counts as omitted.
    return value === '' ? undefined : value;
  };

  function clientId(req: Request, parameters: Parameters): string | undefined {
    const named = parameters.get('client_id');
    const inHeader = header(req, headers.id);
    if (named !== undefined && inHeader !== undefined && named !== inHeader) {
      throw new OAuthError('invalid_request', `client_id differs from the header ${headers.id ?? ''}`);
    }
    return named ?? inHeader;
  }

  return { clientId, publishableKey: (req) => header(req, headers.publishableKey) };
}

/** Why a request may not come in a client's name: every key that came must be the client's, and one must if it wants it. */
export function publishableKeyFault(
  { publishableKeys, requirePublishableKey }: Client,
  keys: readonly string[],
): string | undefined {
  if (keys.some((key) => !publishableKeys.includes(key))) return 'wrong publishable key';
  return requirePublishableKey && keys.length === 0 ? 'no publishable key' : undefined;
}

export function invalidPublishableKey(reason: string): OAuthError {
  return new OAuthError('invalid_client', 'Valid publishable key required', { reason });
}
