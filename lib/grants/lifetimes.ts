import { refreshExpiryOf, type Grant } from './grant';
import type { GrantContext, Policies } from './policy';

/** Until when a refresh token lives. Epoch milliseconds. */
export interface RefreshLifetimes {
  readonly expiresAt: number;
  readonly absoluteExpiresAt: number;
}

/**
 * A grant of a client that is told when a session ends is kept as long as the session, or nobody would know whom to tell
 * (OpenID Connect Back-Channel Logout §2.2). Its refresh token lives no longer for that.
 */
export function sessionLifetimes<Lifetimes extends { expiresAt: number }>(
  policies: Policies,
  context: GrantContext,
  { sid, createdAt }: { sid?: string | undefined; createdAt: number },
  lifetimes: Lifetimes,
): Lifetimes & { refreshExpiresAt: number | undefined } {
  if (sid === undefined || context.client.backchannelLogoutUri === undefined) {
    // As a refresh may find it that was kept for longer before.
    return { ...lifetimes, refreshExpiresAt: undefined };
  }
  const sessionEnd = createdAt + policies.sessionLifetime(context) * 1000;
  const { expiresAt } = lifetimes;
  return { ...lifetimes, expiresAt: Math.max(expiresAt, sessionEnd), refreshExpiresAt: expiresAt };
}

/** The idle lifetime from now, within the absolute one; and `expiresAt` never moves back. */
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
