import { LRUCache } from 'lru-cache';

import type { Store } from '../adapters/store';
import type { Client } from './client';

/**
 * Keeps a client that has registered itself: a registration without any use is dropped soon, one that has got a token is not. It never
 * rejects, because the next token is another occasion.
 */
export type KeepClient = (client: Client) => Promise<void>;

const REMEMBERED = 10_000;

export function createKeepClient({ extendClient }: Pick<Store, 'extendClient'>): KeepClient {
  const kept = new LRUCache<string, true>({ max: REMEMBERED });
  return async ({ clientId, metadata }) => {
    const { registration, clientIdIssuedAt } = metadata;
    // A client that was deleted may register again under the same id.
    const name = `${clientIdIssuedAt} ${clientId}`;
    if (!extendClient || registration === undefined || kept.has(name)) return;
    const isKept = await extendClient(clientId).catch(() => false);
    if (isKept) kept.set(name, true);
  };
}
