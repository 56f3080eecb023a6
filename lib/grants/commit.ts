import type { Store } from '../adapters/store';
import { serverError, storeUnavailable } from '../errors';
import type { EventReporter } from '../event-reporter';
import { identifiersOf, type Grant } from './grant';
import { revoke } from './import-mark';

/** The result of a write: it was stored, or `stored` is the record that was found instead. */
export type Commit = { readonly won: true } | { readonly won: false; readonly stored: Grant | undefined };

/**
 * Advances a grant, and verifies the result. Any answer other than `true` is inconclusive: a driver may resend a write whose
 * answer was lost, and a write that timed out may still be applied later. The record is then read, and its `attempt` shows
 * whether this write was applied.
 *
 * @throws OAuthError `temporarily_unavailable` if the record cannot be read, or is unchanged after two attempts
 */
export async function commit(store: Store, current: Grant, next: Grant): Promise<Commit> {
  for (let sent = 0; sent < 2; sent++) {
    const answer = await store.advanceGrant(current.id, current.generation, next).catch(() => undefined);
    if (answer) return { won: true };
    const stored = await store.getGrant(current.id);
    if (stored?.attempt === next.attempt) return { won: true };
    if (stored?.generation !== current.generation) return { won: false, stored };
  }
  throw storeUnavailable(new Error('the grant did not change'));
}

/** Inserts a grant, and verifies the result. @throws the store's error, if the grant is not stored */
export async function insert(store: Store, grant: Grant): Promise<void> {
  const outcome = await insertFirst(store, grant);
  if (!outcome.won) throw serverError(new Error('another grant has this id'));
}

/** Inserts a grant whose id concurrent requests may insert too. @throws the store's error, if no grant is stored */
export async function insertFirst(store: Store, grant: Grant): Promise<Commit> {
  try {
    await store.saveGrant(grant);
    return { won: true };
  } catch (thrown) {
    const stored = await store.getGrant(grant.id);
    if (!stored) throw thrown;
    return stored.attempt === grant.attempt ? { won: true } : { won: false, stored };
  }
}

/** Ends a grant whose code or token was misused. A failure is retried once, because an attacker may hold its tokens. */
export async function end(
  store: Store,
  reporter: EventReporter,
  grant: Grant,
  reason: string,
): Promise<void> {
  await revoke(store, grant).catch(() => revoke(store, grant));
  reporter.emit('grant.revoked', { ...identifiersOf(grant), reason });
}
