import { OAuthError } from '../errors';
import { newAttempt, refreshExpiryOf, type Grant } from '../grants/grant';
import { refreshLifetimes, sessionLifetimes } from '../grants/lifetimes';
import { refusedGrant } from './grant-type';
import type { TokenSet } from './issuer';
import type { GrantTypeOptions } from './options';
import type { PrepareTokens, RefreshRequest } from './refresh-request';

interface TouchOptions extends Pick<GrantTypeOptions, 'store' | 'policies' | 'clock'> {
  prepare: PrepareTokens;
}

/**
 * Refreshes a grant whose refresh token is kept. The idle lifetime is extended when that adds at least a tenth of it, or when the
 * access token needs it. If that write fails, the request still succeeds, with tokens that the stored lifetime allows.
 */
export function createTouch({ store, policies, clock, prepare }: TouchOptions) {
  return async (request: RefreshRequest, grant: Grant): Promise<TokenSet> => {
    const { context } = request;
    const lifetimes = refreshLifetimes(policies, context, clock(), grant);
    const expiry = refreshExpiryOf(grant);
    const gained = lifetimes.expiresAt - expiry;
    const tenth = policies.refreshTokenIdleLifetime(context) * 100;
    const needed = clock() + policies.accessTokenLifetime(context) * 1000;
    if (gained <= 0 || (gained < tenth && expiry >= needed)) return prepare(request, grant, expiry);

    const tokens = await prepare(request, grant, lifetimes.expiresAt);
    const touched: Grant = {
      ...grant,
      ...sessionLifetimes(policies, context, grant, lifetimes),
      attempt: newAttempt(),
    };
    const stored = await storedAfterTouch(grant, touched);
    if (stored === touched || refreshExpiryOf(stored) >= tokens.expiresAt) return tokens;
    return prepare(request, stored, refreshExpiryOf(stored));
  };

  /** Returns the record after the write, or the one before it if the store fails. @throws OAuthError `invalid_grant` */
  async function storedAfterTouch(grant: Grant, touched: Grant): Promise<Grant> {
    try {
      if (await store.advanceGrant(grant.id, grant.generation, touched)) return touched;
      const stored = await store.getGrant(grant.id);
      if (!stored) throw refusedGrant('refresh token', 'revoked meanwhile');
      return stored;
    } catch (thrown) {
      if (thrown instanceof OAuthError && thrown.code === 'invalid_grant') throw thrown;
      return grant;
    }
  }
}
