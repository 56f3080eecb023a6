import { randomBytes } from 'node:crypto';

import type { StoredGrant } from './adapters/contract';
import type { Store } from './adapters/store';
import type { EventReporter } from './events';
import type { ProviderTokens, ProviderTokenStore } from './federation/provider-tokens';
import { asGrant, readableGrants, refreshExpiryOf, type Grant } from './grants/grant';
import type { SignOut } from './grants/sign-out';
import type { TokenAlgorithms } from './grants/token-algorithms';
import { sessionId } from './grants/user';
import type { AccessTokens } from './tokens/access-token';

/** A grant as a host may show it to its user, among the connected apps. Moments are epoch milliseconds. */
export interface GrantInfo {
  readonly grantId: string;
  readonly userId: string;
  readonly clientId: string;
  readonly scope: readonly string[];
  readonly resources: readonly string[];
  readonly createdAt: number;
  /** When it was last refreshed, or redeemed; `undefined` for an unspent code. */
  readonly lastUsedAt: number | undefined;
  readonly expiresAt: number;
}

/** A token for the tests of a host's own API. */
export interface IssueAccessTokenOptions {
  /** `sub`. */
  subject: string | number;
  clientId: string;
  /** Separated by spaces. @defaultValue `''` */
  scope?: string;
  /** @defaultValue the default audience */
  audience?: string | readonly string[];
  /** Seconds. @defaultValue 3600 */
  lifetime?: number;
  /** Further claims. @defaultValue none */
  claims?: Readonly<Record<string, unknown>>;
}

/** What a host does with grants. */
export interface Operations {
  /**
   * A user's connected apps.
   * @throws Error if the adapter has no `listGrants`
   */
  listGrants(userId: string | number): Promise<GrantInfo[]>;
  /** Ends one grant of a user; `false`, and nothing done, if it is another user's or not there. */
  revokeGrant(grant: { userId: string | number; grantId: string }): Promise<boolean>;
  /**
   * Ends all of a user's grants, unspent codes included; with `clientId` those of one client, and the remembered consent.
   * @returns how many were ended
   * @throws TypeError if there is no user, Error if the adapter has no `listGrants`, AggregateError if some could not be
   *   ended; the others are
   */
  revokeGrants(of: { userId: string | number; clientId?: string }): Promise<number>;
  /**
   * For the host's own sign-out: tells the clients of a session by back-channel logout that it has ended, and ends its grants
   * with `openid` but those with `offline_access`. Without `sid`, which is that of `authenticate`'s user, all sessions of the user.
   * @throws Error if the adapter has no `listGrants`
   */
  signOut(session: { userId: string | number; sid?: string }): Promise<void>;
  /**
   * Encrypts the secret of a client of `client_secret_jwt`, to be stored as `clientSecretSealed`.
   * @throws RangeError if it has less than 32 bytes
   */
  sealClientSecret(clientSecret: string): string;
  /**
   * A provider's access token of a user, for a provider with `storeTokens`: refreshed there if need be, once for all who ask.
   * `undefined` if there is none, or it cannot be refreshed any more.
   * @throws TypeError for an unknown provider, OAuthError `temporarily_unavailable` or `server_error` if the provider fails
   */
  providerTokens(userId: string | number, providerId: string): Promise<ProviderTokens | undefined>;
  /** Forgets them, where a user unlinks an account. */
  deleteProviderTokens(userId: string | number, providerId: string): Promise<void>;
  /** Signs an access token that has no grant: good until it expires, its client is gone, or it is revoked. */
  issueAccessToken(options: IssueAccessTokenOptions): string;
}

interface OperationsOptions {
  issuer: string;
  defaultAudience: string;
  store: Store;
  accessTokens: AccessTokens;
  algorithmsOf: TokenAlgorithms['of'];
  signOut: SignOut;
  sealClientSecret: (clientSecret: string) => string;
  providerTokens: ProviderTokenStore;
  clock: () => number;
  reporter: EventReporter;
}

export function operations(options: OperationsOptions): Operations {
  const { issuer, defaultAudience, store, accessTokens, clock, reporter } = options;

  async function storedGrantsOf(userId: string): Promise<StoredGrant[]> {
    if (!store.listGrants) throw new Error('the adapter has no listGrants(), which this needs');
    const stored = await store.listGrants(userId);
    return stored.filter((grant: StoredGrant | null) => grant?.userId === userId);
  }

  async function end({ id: grantId, clientId, userId }: StoredGrant): Promise<boolean> {
    const ended = await store.revokeGrant(grantId);
    if (ended) reporter.emit('grant.revoked', { grantId, clientId, userId, reason: 'revoked by the host' });
    return ended;
  }

  return {
    listGrants: async (userId) => {
      const now = clock();
      const grants = readableGrants(await storedGrantsOf(idOf(userId)), reporter);
      // Some are kept for longer, to tell their clients when the session ends.
      return grants.filter((grant) => now < refreshExpiryOf(grant)).map(grantInfo);
    },

    revokeGrant: async ({ userId, grantId }) => {
      const grant = asGrant(await store.getGrant(grantId), grantId);
      return grant?.userId === idOf(userId) ? end(grant) : false;
    },

    revokeGrants: async ({ userId, clientId }) => {
      const user = idOf(userId);
      if (clientId !== undefined) await store.deleteConsent?.(user, clientId);
      const stored = await storedGrantsOf(user);
      const grants = stored.filter((grant) => clientId === undefined || grant.clientId === clientId);
      const results = await Promise.allSettled(grants.map(end));
      const failed = results.filter((result) => result.status === 'rejected');
      if (failed.length > 0) {
        const causes = failed.map(({ reason }) => reason as Error);
        throw new AggregateError(causes, `${failed.length} of ${grants.length} grants could not be ended`);
      }
      return results.filter((result) => result.status === 'fulfilled' && result.value).length;
    },

    signOut: async ({ userId, sid }) => {
      if (!store.listGrants) throw new Error('the adapter has no listGrants(), which this needs');
      await options.signOut({ userId: idOf(userId), sid: sid === undefined ? undefined : sessionId(sid) });
    },

    sealClientSecret: options.sealClientSecret,

    providerTokens: async (userId, providerId) =>
      options.providerTokens.get({ userId: idOf(userId), providerId }),
    deleteProviderTokens: async (userId, providerId) =>
      options.providerTokens.delete({ userId: idOf(userId), providerId }),

    issueAccessToken: ({
      subject,
      clientId,
      scope = '',
      audience = defaultAudience,
      lifetime = 3600,
      claims,
    }) => {
      const iat = Math.floor(clock() / 1000);
      const standard = { iss: issuer, sub: idOf(subject), aud: audience, exp: iat + lifetime, iat };
      const jti = randomBytes(16).toString('base64url');
      const algorithms = options.algorithmsOf([audience].flat());
      return accessTokens.issue(
        { ...claims, ...standard, jti, client_id: clientId, scope },
        'jwt',
        algorithms,
      );
    },
  };
}

/** Nobody means everybody here if an `undefined` slips through, so it does not. */
function idOf(userId: unknown): string {
  const valid = typeof userId === 'string' ? userId !== '' : Number.isSafeInteger(userId);
  if (!valid) throw new TypeError('a user id must be a string or a safe integer');
  return String(userId);
}

function grantInfo(grant: Grant): GrantInfo {
  const { id: grantId, userId = '', clientId, scope, resources, createdAt } = grant;
  const lastUsedAt = grant.rotatedAt ?? grant.redeemedAt;
  return {
    grantId,
    userId,
    clientId,
    scope,
    resources,
    createdAt,
    lastUsedAt,
    expiresAt: refreshExpiryOf(grant),
  };
}
