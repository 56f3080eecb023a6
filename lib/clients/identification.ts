import type { Request } from 'express';

import { invalidClient, invalidRequest, type OAuthError } from '../errors';
import type { Parameters } from '../http/parameters';
import type { Client } from './client';

/** Headers by which some systems' apps name their client. They prove nothing. */
export interface ClientHeaders {
  /** The header with the client id; `client_id` may then be left out. @defaultValue none */
  id?: string;
  /** The header with a publishable key of the client. @defaultValue none */
  publishableKey?: string;
  /** The value that apps without a publishable key send in place of the key: it counts as omitted. @defaultValue none */
  placeholderKey?: string;
}

/** The publishable keys of one request, by their location in it. */
export interface PresentedKeys {
  readonly inHeader: string | undefined;
  readonly inParameters: string | undefined;
}

/** Reads the client id and the publishable keys of a request. */
export interface ClientIdentification {
  /** Returns the client id, from the parameter or the header. @throws OAuthError `invalid_request` if they differ */
  clientId(req: Request, parameters: Parameters): string | undefined;
  /** Returns the publishable keys. `inParameters` is the value of `client_secret`, where that is not a secret. */
  publishableKeys(req: Request, inParameters: string | undefined): PresentedKeys;
}

export function createClientIdentification(headers: ClientHeaders): ClientIdentification {
  const header = (req: Request, name: string | undefined): string | undefined => {
    const value = name === undefined ? undefined : req.get(name);
    // As for a parameter, an empty value counts as omitted.
    return value === '' ? undefined : value;
  };

  function clientId(req: Request, parameters: Parameters): string | undefined {
    const named = parameters.get('client_id');
    const inHeader = header(req, headers.id);
    if (named !== undefined && inHeader !== undefined && named !== inHeader) {
      throw invalidRequest(`client_id differs from the header ${headers.id ?? ''}`);
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
 * Returns the fault of a request's publishable keys, or `undefined`. Every key must belong to the client, and a request without a
 * key is refused if the client requires a key.
 *
 * @throws OAuthError `invalid_request` if two keys differ
 */
export function publishableKeyFault(
  { publishableKeys, requirePublishableKey }: Client,
  { inHeader, inParameters }: PresentedKeys,
): string | undefined {
  const keys = [inHeader, inParameters].filter((key) => key !== undefined);
  if (new Set(keys).size > 1) {
    throw invalidRequest('client_secret differs from the publishable key in the header');
  }
  if (keys.some((key) => !publishableKeys.includes(key))) return 'wrong publishable key';
  return requirePublishableKey && keys.length === 0 ? 'no publishable key' : undefined;
}

export function invalidPublishableKey(reason: string): OAuthError {
  return invalidClient('Valid publishable key required', { reason });
}
