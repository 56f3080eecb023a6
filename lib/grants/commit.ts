import type { Store } from '../adapters/store';
import { storeUnavailable } from '../errors';
import type { EventReporter } from '../events';
import { asGrant, subjectOf, type Grant } from './grant';

/** What became of a write: it is stored, or `stored` is what is there instead. */
export type Commit = { readonly won: true } | { readonly won: false; readonly stored: Grant | undefined };

/**
 * Advances a grant, and is certain about it. Anything but `true` means that the outcome is unknown: a driver may resend a
 * write whose answer was lost, and one that timed out may land later. So the record is read, and the attempt in it tells.
 *
 * @throws OAuthError `temporarily_unavailable` if the record cannot be read, or did not change twice
 */
export async function commit(store: Store, current: Grant, next: Grant): Promise<Commit> {
  for (let sent = 0; sent < 2; sent++) {
    const answer = await store.advanceGrant(current.id, current.generation, next).catch(() => undefined);
    if (answer === true) return { won: true };
    const stored = asGrant(await store.getGrant(current.id), current.id);
    if (stored?.attempt === next.attempt) return { won: true };
    if (stored?.generation !== current.generation) return { won: false, stored };
  }
  throw storeUnavailable(new Error('the grant did not change'));
}

/** Inserts a grant, and is certain about it. @throws what the store threw, if the grant is not there */
export async function insert(store: Store, grant: Grant): Promise<void> {
  await store.saveGrant(grant).catch(async (thrown: unknown) => {
    const stored = asGrant(await store.getGrant(grant.id), grant.id);
    if (stored?.attempt !== grant.attempt) throw thrown;
  });
}

/** Ends a grant whose token was replayed. It is worth a second try: somebody else may hold its tokens. */
export async function end(
  store: Store,
  reporter: EventReporter,
  grant: Grant,
  reason: string,
): Promise<void> {
  await store.revokeGrant(grant.id).catch(() => store.revokeGrant(grant.id));
  reporter.emit('grant.revoked', { ...subjectOf(grant), reason });
}
