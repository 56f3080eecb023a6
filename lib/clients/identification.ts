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
  /** What apps send in place of a publishable key where they have none: it counts as omitted. */
  placeholderKey?: string;
}

/** The publishable keys of one request, by where they stood. */
export interface PresentedKeys {
  readonly inHeader: string | undefined;
  readonly inParameters: string | undefined;
}

/** What a request says of its client apart from credentials. */
export interface ClientIdentification {
  /** By parameter or by header. @throws OAuthError `invalid_request` if they differ */
  clientId(req: Request, parameters: Parameters): string | undefined;
  /** `inParameters`: what stood there as `client_secret`, if that is no secret. */
  publishableKeys(req: Request, inParameters: string | undefined): PresentedKeys;
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

  function publishableKeys(req: Request, inParameters: string | undefined): PresentedKeys {
    const given = (key: string | undefined): string | undefined =>
      key === headers.placeholderKey ? undefined : key;
    return { inHeader: given(header(req, headers.publishableKey)), inParameters: given(inParameters) };
  }

  return { clientId, publishableKeys };
}

/**
 * Why a request may not come in a client's name: every key that came must be the client's, and one must if it wants it.
 *
 * @throws OAuthError `invalid_request` if two came that differ
 */
export function publishableKeyFault(
  { publishableKeys, requirePublishableKey }: Client,
  { inHeader, inParameters }: PresentedKeys,
): string | undefined {
  const keys = [inHeader, inParameters].filter((key) => key !== undefined);
  if (new Set(keys).size > 1) {
    throw new OAuthError('invalid_request', 'client_secret differs from the publishable key in the header');
  }
  if (keys.some((key) => !publishableKeys.includes(key))) return 'wrong publishable key';
  return requirePublishableKey && keys.length === 0 ? 'no publishable key' : undefined;
}

export function invalidPublishableKey(reason: string): OAuthError {
  return new OAuthError('invalid_client', 'Valid publishable key required', { reason });
}
