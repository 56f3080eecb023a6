import type { GrantContext } from '../host/grant-context';
import type { Policies } from '../policy/policies';
import { refreshExpiryOf, type Grant } from './grant';

/** The expiry of a refresh token. Epoch milliseconds. */
export interface RefreshLifetimes {
  readonly expiresAt: number;
  readonly absoluteExpiresAt: number;
}

/**
 * Extends a grant's record to the end of the user's session, for a client that must be told when the session ends
 * (OpenID Connect Back-Channel Logout §2.2). The refresh token keeps its own expiry.
 */
export function sessionLifetimes<Lifetimes extends { expiresAt: number }>(
  policies: Policies,
  context: GrantContext,
  { sid, createdAt }: { sid?: string | undefined; createdAt: number },
  lifetimes: Lifetimes,
): Lifetimes & { refreshExpiresAt: number | undefined } {
  if (sid === undefined || context.client.backchannelLogoutUri === undefined) {
    // Clears the member of a record that was extended before.
    return { ...lifetimes, refreshExpiresAt: undefined };
  }
  const sessionEnd = createdAt + policies.sessionLifetime(context) * 1000;
  const { expiresAt } = lifetimes;
  return { ...lifetimes, expiresAt: Math.max(expiresAt, sessionEnd), refreshExpiresAt: expiresAt };
}

/** Computes the expiry: the idle lifetime from now, limited by the absolute lifetime. `expiresAt` never moves back. */
export function refreshLifetimes(
  policies: Policies,
  context: GrantContext,
  now: number,
  stored?: Grant,
): RefreshLifetimes {
  const absoluteExpiresAt =
    stored?.absoluteExpiresAt ?? now + policies.refreshTokenAbsoluteLifetime(context) * 1000;
  const idle = now + policies.refreshTokenIdleLifetime(context) * 1000;
  return {
    absoluteExpiresAt,
    expiresAt: Math.max(stored ? refreshExpiryOf(stored) : 0, Math.min(idle, absoluteExpiresAt)),
  };
}
