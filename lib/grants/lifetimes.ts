import type { GrantContext, Policies } from './policy';

/** Until when a grant with a refresh token lives. Epoch milliseconds. */
export interface RefreshLifetimes {
  readonly expiresAt: number;
  readonly absoluteExpiresAt: number;
}

/** The idle lifetime from now, within the absolute one; and `expiresAt` never moves back. */
export function refreshLifetimes(
  policies: Policies,
  context: GrantContext,
  now: number,
  stored?: { expiresAt: number; absoluteExpiresAt?: number | undefined },
): RefreshLifetimes {
  const absoluteExpiresAt =
    stored?.absoluteExpiresAt ?? now + policies.refreshTokenAbsoluteLifetime(context) * 1000;
  const idle = now + policies.refreshTokenIdleLifetime(context) * 1000;
  return {
    absoluteExpiresAt,
    expiresAt: Math.max(stored?.expiresAt ?? 0, Math.min(idle, absoluteExpiresAt)),
  };
}
