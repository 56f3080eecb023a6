import { randomBytes } from 'node:crypto';

import type { Store } from '../adapters/store';
import { OAuthError } from '../errors';
import { parametersOf, type Parameters } from '../http/parameters';
import type { Sealer } from '../tokens/keys';
import { refuseLong, type Progress, type Resumed } from './resumption';

/** Authorization requests that clients have pushed (RFC 9126). */
export interface PushedRequests {
  /** Keeps a request that was checked, for `lifetime` seconds. */
  push(
    clientId: string,
    request: { parameters: Parameters; signed: boolean },
    lifetime: number,
  ): Promise<string>;
  /** A pushed request at the authorization endpoint. @throws OAuthError `invalid_request_uri` */
  arrive(parameters: Parameters): Promise<Resumed>;
  /** Spends it: of many who complete it at once one succeeds. @throws OAuthError `invalid_request_uri` */
  complete(progress: Progress, lifetime: number): Promise<void>;
}

interface Pushed {
  readonly clientId: string;
  readonly entries: [string, string][];
  readonly signed: boolean;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

const PREFIX = 'urn:ietf:params:oauth:request_uri:';

/** Any other `request_uri` is one to fetch, which this server does not do (RFC 9101 §5.2). */
export function isPushedRequestUri(requestUri: string | undefined): boolean {
  return requestUri?.startsWith(PREFIX) ?? false;
}

export function pushedRequests(options: {
  store: Store;
  /** There may be a token among them, and what is said of a user. */
  sealer: Sealer;
  clock: () => number;
}): PushedRequests {
  const { store, sealer, clock } = options;

  async function push(
    clientId: string,
    { parameters, signed }: { parameters: Parameters; signed: boolean },
    lifetime: number,
  ): Promise<string> {
    refuseLong(parameters);
    const id = randomBytes(32).toString('base64url');
    const expiresAt = clock() + lifetime * 1000;
    const pushed: Pushed = { clientId, entries: parameters.entries(), signed, expiresAt };
    await store.put(pushedKey(id), sealer.seal(JSON.stringify(pushed)), lifetime);
    return PREFIX + id;
  }

  async function arrive(parameters: Parameters): Promise<Resumed> {
    const id = parameters.get('request_uri')?.slice(PREFIX.length) ?? '';
    const sealed = /^[\w-]{43}$/.test(id) ? await store.get(pushedKey(id)) : undefined;
    const text = typeof sealed === 'string' ? sealer.open(sealed) : undefined;
    const pushed = text === undefined ? undefined : (JSON.parse(text) as Pushed);
    if (!pushed || clock() >= pushed.expiresAt) throw invalidRequestUri('unknown or expired');
    if (parameters.get('client_id') !== pushed.clientId) throw invalidRequestUri('of another client');
    const progress = { startedAt: clock(), detours: 0, pushedId: id, signed: pushed.signed };
    // RFC 9126 §4: what stands beside it in the query does not count.
    return { parameters: parametersOf(pushed.entries), progress };
  }

  async function complete({ pushedId }: Progress, lifetime: number): Promise<void> {
    if (pushedId === undefined) return;
    if (!(await store.setOnce(`pushed-used:${pushedId}`, lifetime)))
      throw invalidRequestUri('already completed');
    // A next visit is refused earlier; it could not complete anyway.
    await store.take(pushedKey(pushedId)).catch(() => undefined);
  }

  return { push, arrive, complete };
}

function pushedKey(id: string): string {
  return `pushed:${id}`;
}

function invalidRequestUri(reason: string): OAuthError {
  return new OAuthError('invalid_request_uri', 'The request_uri is unknown, expired or has been used', {
    reason,
  });
}
