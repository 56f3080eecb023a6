import { randomBytes } from 'node:crypto';

import { refuseUnknown, type StoredGrant } from './adapters/contract';
import type { Store } from './adapters/store';
import type { ClientManager } from './clients/client-manager';
import type { EventReporter } from './event-reporter';
import type { ProviderTokens, ProviderTokenStore } from './federation/provider-tokens';
import { isVoid, ownRecords, readableGrants, refreshExpiryOf, type Grant } from './grants/grant';
import { revoke } from './grants/import-mark';
import { settledInParts } from './grants/in-parts';
import { isUserId, sessionId } from './host/user';
import type { SignOut } from './logout/sign-out';
import type { Reload, ReloadedCredentials } from './options/credentials';
import type { Audiences } from './policy/audiences';
import type { TokenAlgorithms } from './policy/token-algorithms';
import type { AccessTokens } from './tokens/access-token';
import type { Sealer } from './tokens/keys';

/** A grant, as a host may show it to its user among the connected apps. Moments are epoch milliseconds. */
export interface GrantInfo {
  /** The id, for `revokeGrant`. */
  readonly grantId: string;
  /** The user who granted access. */
  readonly userId: string;
  /** The client that has access. */
  readonly clientId: string;
  /** The scope values. */
  readonly scope: readonly string[];
  /** The audiences. */
  readonly resources: readonly string[];
  /** When the user authorized the client. */
  readonly createdAt: number;
  /** When the refresh token was last rotated, or else when the code was redeemed; `undefined` before either. */
  readonly lastUsedAt: number | undefined;
  /** When the grant expires, unless it is refreshed first. */
  readonly expiresAt: number;
}

/** The options of `issueAccessToken`. */
export interface IssueAccessTokenOptions {
  /** `sub`: the user, or the client's id for a client that acts for itself. */
  subject: string | number;
  /** The client that the token is issued to. */
  clientId: string;
  /** Scope values, separated by spaces. @defaultValue `''` */
  scope?: string;
  /** The audience, or several. @defaultValue the default audience */
  audience?: string | readonly string[];
  /** Seconds. @defaultValue `3600` */
  lifetime?: number;
  /** Further claims. @defaultValue none */
  claims?: Readonly<Record<string, unknown>>;
}

/** The functions with which a host manages grants, sessions and tokens. */
export interface Operations {
  /**
   * Lists a user's grants: the connected apps.
   * @throws Error if the adapter has no `listGrants`
   */
  listGrants(userId: string | number): Promise<GrantInfo[]>;
  /** Ends one grant of a user. Returns `false`, and does nothing, if it does not exist or belongs to another user. */
  revokeGrant(grant: { userId: string | number; grantId: string }): Promise<boolean>;
  /**
   * Ends all grants of a user, unspent codes included. With `clientId`, ends those of one client and forgets the consent to it.
   * @returns the number of grants that were ended
   * @throws TypeError without a user, Error if the adapter has no `listGrants`, AggregateError if some grants could not be ended;
   *   the others are ended
   */
  revokeGrants(of: { userId: string | number; clientId?: string }): Promise<number>;
  /**
   * Notifies a session's clients by back-channel logout that the session has ended, and ends its grants with `openid`, except
   * those with `offline_access`. Call it from the host's own sign-out. `sid` is the `sid` of the user that `authenticate`
   * returned; without it, all sessions of the user end.
   * @throws TypeError without a user, or for a `sid` that is not a text; Error if the adapter has no `listGrants`
   */
  signOut(session: { userId: string | number; sid?: string }): Promise<void>;
  /**
   * Replaces `secrets`, `signingKeys`, or both while the server runs, for example when a secret store has new ones. What the remaining
   * ones have signed stays good; everything else ends at once.
   *
   * @throws OAuthConfigurationError with all faults, or if the keys are for other algorithms than before; nothing is replaced then
   */
  reload(credentials: ReloadedCredentials): void;
  /** The clients that the adapter stores. */
  readonly clients: ClientManager;
  /**
   * Encrypts the secret of a `client_secret_jwt` client, to store it as `clientSecretSealed`.
   * @throws RangeError if the secret has fewer than 32 bytes
   */
  sealClientSecret(clientSecret: string): string;
  /**
   * Returns a user's access token of a provider with `storeTokens`. It is refreshed if needed, once for all concurrent callers.
   * `undefined` means that there is none, or that it cannot be refreshed any more.
   * @throws TypeError for an unknown provider, OAuthError `temporarily_unavailable` or `server_error` if the provider fails
   */
  providerTokens(userId: string | number, providerId: string): Promise<ProviderTokens | undefined>;
  /** Deletes a user's tokens of a provider, for example when the user unlinks the account. */
  deleteProviderTokens(userId: string | number, providerId: string): Promise<void>;
  /**
   * Issues an access token without a grant, for tests of the host's API. It is active until it expires or is revoked, or until
   * its client is deleted or sets a later `grantsNotBefore`.
   * @throws TypeError for an unknown option or an invalid value
   */
  issueAccessToken(options: IssueAccessTokenOptions): string;
}

interface OperationsOptions {
  issuer: string;
  defaultAudience: string;
  audiences: Pick<Audiences, 'registered'>;
  store: Store;
  accessTokens: AccessTokens;
  tokenAlgorithms: TokenAlgorithms;
  signOut: SignOut;
  clientSecretSealer: Sealer;
  clientManager: ClientManager;
  reload: Reload;
  providerTokens: ProviderTokenStore;
  clock: () => number;
  reporter: EventReporter;
}

export function createOperations(options: OperationsOptions): Operations {
  const { store, signOut, clientSecretSealer, providerTokens } = options;

  return {
    ...createGrantOperations(options),
    clients: options.clientManager,
    reload: options.reload,

    async signOut({ userId, sid }) {
      if (!store.listGrants) throw withoutListGrants();
      if (sid !== undefined && (typeof sid !== 'string' || sid === ''))
        throw new TypeError('a sid must be a string; leave it out to end all sessions');
      await signOut({ userId: idOf(userId), sid: sid === undefined ? undefined : sessionId(sid) });
    },

    sealClientSecret(clientSecret) {
      // RFC 7518 §3.2
      if (Buffer.byteLength(clientSecret) < 32)
        throw new RangeError('a secret for client_secret_jwt must have at least 32 bytes');
      return clientSecretSealer.seal(clientSecret);
    },

    providerTokens: async (userId, providerId) => providerTokens.get({ userId: idOf(userId), providerId }),
    deleteProviderTokens: async (userId, providerId) =>
      providerTokens.delete({ userId: idOf(userId), providerId }),

    issueAccessToken: createIssueAccessToken(options),
  };
}

function createGrantOperations({
  store,
  clock,
  reporter,
}: OperationsOptions): Pick<Operations, 'listGrants' | 'revokeGrant' | 'revokeGrants'> {
  async function listed(userId: string): Promise<readonly unknown[]> {
    if (!store.listGrants) throw withoutListGrants();
    return store.listGrants(userId);
  }

  async function end(grant: StoredGrant & Pick<Grant, 'isImported'>): Promise<boolean> {
    const { id: grantId, clientId, userId } = grant;
    const ended = await revoke(store, grant);
    if (ended) reporter.emit('grant.revoked', { grantId, clientId, userId, reason: 'revoked by the host' });
    return ended;
  }

  return {
    async listGrants(userId) {
      const now = clock();
      const user = idOf(userId);
      const grants = readableGrants(await listed(user), user, reporter);
      // Some records outlive their refresh token, so that the client can be notified when the session ends.
      return grants.filter((grant) => now < refreshExpiryOf(grant) && !isVoid(grant)).map(grantInfo);
    },

    async revokeGrant({ userId, grantId }) {
      const grant = await store.getGrant(grantId);
      return grant?.userId === idOf(userId) ? end(grant) : false;
    },

    async revokeGrants({ userId, clientId }) {
      const user = idOf(userId);
      if (clientId !== undefined) await store.deleteConsent?.(user, clientId);
      const grants = ownRecords(await listed(user), user).filter(
        (grant) => clientId === undefined || grant.clientId === clientId,
      );
      const results = await settledInParts(grants, end);
      const failed = results.filter((result) => result.status === 'rejected');
      if (failed.length > 0) {
        const causes = failed.map(({ reason }) => reason as Error);
        throw new AggregateError(causes, `${failed.length} of ${grants.length} grants could not be ended`);
      }
      return results.filter((result) => result.status === 'fulfilled' && result.value).length;
    },
  };
}

function createIssueAccessToken(options: OperationsOptions): Operations['issueAccessToken'] {
  const { issuer, defaultAudience, audiences, accessTokens, tokenAlgorithms, clock } = options;

  return (given) => {
    const {
      subject,
      clientId,
      scope = '',
      audience: givenAudience = defaultAudience,
      lifetime = 3600,
      claims,
      ...unknown
    } = given;
    refuseUnknown('issueAccessToken()', unknown);
    if (!Number.isInteger(lifetime)) throw new TypeError('lifetime must be a whole number of seconds');
    if (typeof clientId !== 'string') throw new TypeError('clientId must be a string');
    if (typeof scope !== 'string') throw new TypeError('scope must be one string');
    const audience =
      typeof givenAudience === 'string'
        ? audiences.registered(givenAudience)
        : givenAudience.map((single) => audiences.registered(single));
    const iat = Math.floor(clock() / 1000);
    const standard = { iss: issuer, sub: idOf(subject), aud: audience, exp: iat + lifetime, iat };
    const jti = randomBytes(16).toString('base64url');
    const algorithms = tokenAlgorithms.of([audience].flat());
    return accessTokens.issue({ ...claims, ...standard, jti, client_id: clientId, scope }, 'jwt', algorithms);
  };
}

function withoutListGrants(): Error {
  return new Error('the adapter has no listGrants(), which this operation needs');
}

/** Returns a user id as a string. A missing user is refused: an `undefined` id must never mean all users. */
function idOf(userId: unknown): string {
  if (!isUserId(userId)) throw new TypeError('a user id must be a string or a safe integer');
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
