import type { Store } from '../adapters/store';
import type { Client } from '../clients/client';
import type { ClientRegistry } from '../clients/registry';
import type { EventIdentifiers } from '../events';
import { grantIdOf, type AccessTokenClaims } from '../tokens/access-token';
import { isActive, type Grant } from './grant';

/** How long a revoked token is remembered after its expiry, because processes' clocks differ. Seconds. */
export const REVOCATION_GRACE = 600;

/** Returns the key under which a single revoked access token is stored until it expires. */
export function revocationKey(jti: string): string {
  return `revoked:${jti}`;
}

/** Looks up whether an access token is active, in one round trip. Returns `undefined` if it is not. */
export type TokenStatus = (claims: AccessTokenClaims) => Promise<ActiveToken | undefined>;

export interface ActiveToken {
  readonly client: Client;
  /** The grant that the token belongs to, if it has one. */
  readonly grant: Grant | undefined;
}

/**
 * Creates the lookup of access tokens. A token of a grant is active while its grant is active. A token without a grant is active
 * unless the client's `grantsNotBefore` voids it. Neither is active after it expires, after it is revoked itself, or after its
 * client is deleted.
 */
export function createTokenStatus(store: Store, registry: ClientRegistry, clock: () => number): TokenStatus {
  return async (claims) => {
    const grantId = grantIdOf(claims);
    const [record, revoked, grant] = await Promise.all([
      registry.find(claims.client_id),
      store.get(revocationKey(claims.jti)),
      grantId === undefined ? undefined : store.getGrant(grantId),
    ]);
    const now = clock();
    if (!record || revoked !== undefined || now >= claims.exp * 1000) return undefined;
    const { client } = record;
    if (grantId === undefined) {
      return claims.iat >= client.grantsNotBefore ? { client, grant: undefined } : undefined;
    }
    return grant?.clientId === claims.client_id && isActive(grant, client, now)
      ? { client, grant }
      : undefined;
  };
}

/** Looks up an access token of a user, and records the user for the event of the request. */
export function userTokenStatus(status: TokenStatus, event: EventIdentifiers): TokenStatus {
  return async (claims) => {
    const { sub, client_id: clientId } = claims;
    Object.assign(event, { clientId, userId: sub });
    const active = await status(claims);
    // A client that acts for itself is not a user.
    return sub === clientId ? undefined : active;
  };
}
