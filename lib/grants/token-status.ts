import type { Store } from '../adapters/store';
import type { Client } from '../clients/client';
import type { ClientRegistry } from '../clients/registry';
import { asGrant, stands, type Grant } from './grant';
import { serverError } from '../errors';
import { grantIdOf, type AccessTokenClaims } from '../tokens/access-token';

/** A revoked token is remembered a while after it expired, because processes' clocks differ. Seconds. */
export const REVOCATION_GRACE = 600;

/** Where a single revoked access token stands in the store, until it expires. */
export function revocationKey(jti: string): string {
  return `revoked:${jti}`;
}

/** A token of ours that is still good, as far as the store knows. One wave of reads. */
export type TokenStatus = (claims: AccessTokenClaims) => Promise<LiveToken | undefined>;

export interface LiveToken {
  readonly client: Client;
  /** The grant that it hangs on, if it has one. */
  readonly grant: Grant | undefined;
}

/**
 * A token of a grant is good while its grant is there; one without a grant unless its client's were made void. Either kind
 * dies with its client, and when it is revoked itself.
 */
export function tokenStatus(store: Store, registry: ClientRegistry, clock: () => number): TokenStatus {
  return async (claims) => {
    const grantId = grantIdOf(claims);
    const [record, revoked, stored] = await Promise.all([
      registry.find(claims.client_id),
      store.get(revocationKey(claims.jti)),
      grantId === undefined ? undefined : store.getGrant(grantId),
    ]);
    const now = clock();
    const isRevoked = revoked !== undefined && revoked !== null;
    if (isRevoked && typeof revoked !== 'string')
      throw serverError(new TypeError('get() must give a string'));
    if (!record || isRevoked || now >= claims.exp * 1000) return undefined;
    const { client } = record;
    if (grantId === undefined) {
      return claims.iat >= client.grantsNotBefore ? { client, grant: undefined } : undefined;
    }
    const grant = asGrant(stored, grantId);
    return grant?.clientId === claims.client_id && stands(grant, client, now) ? { client, grant } : undefined;
  };
}
