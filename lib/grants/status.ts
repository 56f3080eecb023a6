import type { Store } from '../adapters/store';
import { resolveClient, type Client } from '../clients/client';
import type { ClientRegistry } from '../clients/registry';
import type { EventIdentifiers } from '../events';
import { grantIdOf, timeFault, type AccessTokenClaims, type AccessTokens } from '../tokens/access-token';
import { isActive, isVoid, type Grant } from './grant';
import { isLeftOver } from './import-mark';

/** How long a revoked token is remembered after its expiry, because processes' clocks differ. Seconds. */
export const REVOCATION_GRACE = 600;

/**
 * Returns the key under which a single revoked access token is stored until it expires. A resource server that shares a secret can
 * sign any `jti`: such tokens have names of their own, so that none of them revokes another client's token.
 */
export function revocationKey(jti: string, { bySecret }: { bySecret: boolean }): string {
  return `${bySecret ? 'revoked-shared' : 'revoked'}:${jti}`;
}

/** The claims by which an access token is looked up. */
export type TokenFacts = Pick<AccessTokenClaims, 'jti' | 'client_id' | 'iat' | 'exp' | 'nbf'>;

/**
 * Looks up whether an access token is active, in one round trip. Returns `undefined` if it is not. `bySecret` is needed for claims
 * that `AccessTokens.read` did not return itself. Without `needsClient`, a client with a metadata document that is not in the cache is known
 * by its id only: whether an API works must not depend on the server of an app.
 */
export type TokenStatus = (
  claims: TokenFacts | AccessTokenClaims,
  options?: { bySecret?: boolean; needsClient?: boolean },
) => Promise<ActiveToken | undefined>;

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
export function createTokenStatus(options: {
  store: Pick<Store, 'get' | 'getGrant'>;
  registry: ClientRegistry;
  accessTokens: Pick<AccessTokens, 'isSignedBySecret'>;
  clock: () => number;
}): TokenStatus {
  const { store, registry, accessTokens, clock } = options;

  async function clientOf(clientId: string, mayFetch: boolean): Promise<Client | undefined> {
    const record = await registry.find(clientId, { mayFetch, isUsed: true });
    if (record) return record.client;
    return !mayFetch && registry.mayBeDocument(clientId) ? resolveClient({ clientId }) : undefined;
  }

  return async (claims, options = {}) => {
    const { bySecret = accessTokens.isSignedBySecret(claims), needsClient = false } = options;
    const grantId = grantIdOf(claims);
    const [client, revoked, grant] = await Promise.all([
      clientOf(claims.client_id, needsClient),
      store.get(revocationKey(claims.jti, { bySecret })),
      grantId === undefined ? undefined : store.getGrant(grantId),
    ]);
    const now = clock();
    if (!client || revoked !== undefined || timeFault(claims, now) !== undefined) return undefined;
    if (grantId === undefined) {
      return claims.iat >= client.grantsNotBefore ? { client, grant: undefined } : undefined;
    }
    if (grant?.clientId !== claims.client_id || isVoid(grant) || !isActive(grant, client, now))
      return undefined;
    return (await isLeftOver(store, grant)) ? undefined : { client, grant };
  };
}

type StatusOfUser = (claims: AccessTokenClaims) => Promise<ActiveToken | undefined>;

/** Looks up an access token of a user, and records the user for the event of the request. */
export function userTokenStatus(status: TokenStatus, event: EventIdentifiers): StatusOfUser {
  return async (claims) => {
    const { sub, client_id: clientId } = claims;
    Object.assign(event, { clientId, userId: sub });
    const active = await status(claims, { needsClient: true });
    // A client that acts for itself is not a user.
    return sub === clientId ? undefined : active;
  };
}
