import { randomBytes } from 'node:crypto';

import type { Store } from '../adapters/store';
import { OAuthError } from '../errors';
import { parametersOf, type Parameters } from '../http/parameters';
import type { SealedJson } from '../tokens/sealed-json';
import type { PendingRequest, Progress } from './progress';
import { refuseLong } from './resuming';

/** Stores the authorization requests that clients have pushed (RFC 9126). */
export interface PushedRequests {
  /** Stores a checked request for `lifetime` seconds, and returns its `request_uri`. */
  push(
    clientId: string,
    request: { parameters: Parameters; signed: boolean },
    lifetime: number,
  ): Promise<string>;
  /** Returns the pushed request that `request_uri` names. @throws OAuthError `invalid_request_uri` */
  find(parameters: Parameters): Promise<PendingRequest>;
  /** Deletes a pushed request that is complete, so that another visit is refused early. */
  forget(progress: Progress): Promise<void>;
}

export interface PushedRequest {
  readonly clientId: string;
  readonly entries: [string, string][];
  readonly signed: boolean;
}

const PREFIX = 'urn:ietf:params:oauth:request_uri:';

/** Whether a `request_uri` names a pushed request. Any other would have to be fetched, which is not supported (RFC 9101 §5.2). */
export function isPushedRequestUri(requestUri: string | undefined): boolean {
  return requestUri?.startsWith(PREFIX) ?? false;
}

export function createPushedRequests(options: {
  store: Pick<Store, 'put' | 'get' | 'take'>;
  /** Sealed, because the parameters may contain a token and facts about a user. */
  sealed: SealedJson<PushedRequest>;
  clock: () => number;
}): PushedRequests {
  const { store, sealed, clock } = options;

  async function push(
    clientId: string,
    { parameters, signed }: { parameters: Parameters; signed: boolean },
    lifetime: number,
  ): Promise<string> {
    refuseLong(parameters);
    const id = randomBytes(32).toString('base64url');
    const content = { clientId, entries: parameters.entries(), signed };
    await store.put(pushedKey(id), sealed.seal(content, clock() + lifetime * 1000), lifetime);
    return PREFIX + id;
  }

  async function find(parameters: Parameters): Promise<PendingRequest> {
    const id = parameters.get('request_uri')?.slice(PREFIX.length) ?? '';
    const request = /^[\w-]{43}$/.test(id) ? sealed.open(await store.get(pushedKey(id))) : undefined;
    if (!request) throw invalidRequestUri('unknown or expired');
    if (parameters.get('client_id') !== request.clientId) throw invalidRequestUri('issued to another client');
    const progress = { startedAt: clock(), detours: 0, pushedId: id, onceId: id, signed: request.signed };
    // RFC 9126 §4: other parameters in the query are ignored.
    return { parameters: parametersOf(request.entries), progress };
  }

  async function forget({ pushedId }: Progress): Promise<void> {
    if (pushedId !== undefined) await store.take(pushedKey(pushedId)).catch(() => undefined);
  }

  return { push, find, forget };
}

function pushedKey(id: string): string {
  return `pushed:${id}`;
}

function invalidRequestUri(reason: string): OAuthError {
  return new OAuthError('invalid_request_uri', 'The request_uri is unknown, expired or has been used', {
    reason,
  });
}
