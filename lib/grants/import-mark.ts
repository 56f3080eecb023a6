import type { Store } from '../adapters/store';
import type { Grant } from './grant';

/**
 * What is remembered of a refresh token that another server has issued. The id of its grant is not random: a write that lands late could
 * bring the grant back, with all its tokens. So two marks outlive the grant: that the token has begun it, and that it has ended.
 */
type Mark = 'begun' | 'ended';

/** Longer than the other server's tokens live. Seconds. */
const LIFETIME = 10 * 365 * 86_400;

const keyOf = (grantId: string, mark: Mark): string => `imported-refresh-token:${grantId}:${mark}`;

export async function hasMark(store: Pick<Store, 'get'>, grantId: string, mark: Mark): Promise<boolean> {
  return (await store.get(keyOf(grantId, mark))) !== undefined;
}

export async function writeMark(store: Pick<Store, 'put'>, grantId: string, mark: Mark): Promise<void> {
  await store.put(keyOf(grantId, mark), '1', LIFETIME);
}

type Identity = Pick<Grant, 'id' | 'isImported'>;

/** Whether a record is what is left of a grant that has ended. No other grants than imported ones can be. No I/O for them. */
export async function isLeftOver(store: Pick<Store, 'get'>, { id, isImported }: Identity): Promise<boolean> {
  return isImported === true && hasMark(store, id, 'ended');
}

/** Deletes a grant, for good: the token of another server cannot begin it again. Returns `true` if it existed. */
export async function revoke(
  store: Pick<Store, 'put' | 'revokeGrant'>,
  { id, isImported }: Identity,
): Promise<boolean> {
  // A store that is full may still delete.
  const [mark, deleted] = await Promise.allSettled([
    isImported === true ? writeMark(store, id, 'ended') : undefined,
    store.revokeGrant(id),
  ]);
  if (mark.status === 'rejected') throw mark.reason;
  if (deleted.status === 'rejected') throw deleted.reason;
  return deleted.value;
}
