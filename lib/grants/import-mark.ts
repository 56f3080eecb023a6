import type { Store } from '../adapters/store';
import type { Grant } from './grant';

/**
 * The mark of a refresh token that another server has issued. It names the insertion that began the grant of the token, or says that the
 * token has ended. It outlives the grant: a record that does not fit it was inserted after the end, by a request that was slow.
 */
const ENDED = 'ended';
/** How long the mark is kept: longer than the other server's tokens live. Seconds. */
const LIFETIME = 10 * 365 * 86_400;

const keyOf = (grantId: string): string => `imported-refresh-token:${grantId}`;

export function readMark(store: Pick<Store, 'get'>, grantId: string): Promise<string | undefined> {
  return store.get(keyOf(grantId));
}

/** Writes the insertion that began a grant, or that it has ended. */
export async function writeMark(store: Pick<Store, 'put'>, grantId: string, importId = ENDED): Promise<void> {
  await store.put(keyOf(grantId), importId, LIFETIME);
}

/** Deletes a grant, for good: the token of another server cannot begin it again. Returns `true` if it existed. */
export async function revoke(
  store: Pick<Store, 'put' | 'revokeGrant'>,
  { id, importId }: Pick<Grant, 'id' | 'importId'>,
): Promise<boolean> {
  if (importId !== undefined) await writeMark(store, id);
  return store.revokeGrant(id);
}
