import { randomBytes } from 'node:crypto';

import type { ClientMetadata } from '../adapters/contract';
import type { Store } from '../adapters/store';
import { sha256 } from '../digest';
import { temporarilyUnavailable } from '../errors';

/** How long a change of a client that was read holds off other changes of what they have read, too. Seconds. */
const HELD = 10;
const ATTEMPTS = 20;
/** Milliseconds. */
const PAUSE = 100;

/**
 * Stores a client in place of the one that was read, unless somebody else has changed that one: two changes at once would undo each other,
 * and a secret that was replaced because it had leaked would come back.
 */
export type ReplaceClient = (
  read: object,
  next: ClientMetadata,
) => Promise<'replaced' | 'changed elsewhere' | 'gone'>;

/** `replace` stores a client, and returns `false` if there is none. */
export function createReplaceClient(
  setOnce: Store['setOnce'],
  replace: (client: ClientMetadata) => Promise<boolean>,
): ReplaceClient {
  return async (read, next) => {
    // Of those who have read the same record, one may write. The record gets a mark, so that it never becomes the same again.
    const digest = sha256(JSON.stringify(read));
    if (!(await setOnce(`client-change:${digest}`, HELD))) return 'changed elsewhere';
    const revision = randomBytes(9).toString('base64url');
    return (await replace({ ...next, revision })) ? 'replaced' : 'gone';
  };
}

/**
 * Repeats an attempt that reads a client and replaces it, until nobody else has changed the client in between.
 *
 * @throws OAuthError `temporarily_unavailable` if others change it all the time
 */
export async function untilReplaced<T>(attempt: () => Promise<T | 'changed elsewhere'>): Promise<T> {
  for (let count = 0; count < ATTEMPTS; count++) {
    const result = await attempt();
    if (result !== 'changed elsewhere') return result;
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
  throw temporarilyUnavailable('The client is being changed by somebody else');
}
