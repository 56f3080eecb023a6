import { randomUUID } from 'node:crypto';

import type { StoredGrant } from '../adapters/contract';
import { grantRecord, type GrantRecord } from '../adapters/results';
import type { Client } from '../clients/client';
import type { EventReporter } from '../event-reporter';
import { allowedClaims, type RequestedClaims } from '../host/standard-claims';
import type { FederationFacts } from '../host/token-hooks';
import type { Authentication } from '../host/user';
import { isJsonObject } from '../json';
import type { Confirmation } from '../tokens/access-token';

/**
 * One authorization of a client, as a counter. Generation 0 is an unspent authorization code, generation 1 the first refresh
 * token, and so on. The tokens that clients hold are derived from the record, and nothing in it can be replayed. Moments are
 * epoch milliseconds.
 */
export interface Grant extends GrantRecord, Authentication {
  readonly nonce?: string | undefined;
  /** Single claims that were requested and allowed. */
  readonly claims?: RequestedClaims | undefined;
  /** The key that must redeem the code (RFC 9449 §10). */
  readonly dpopJkt?: string | undefined;
  /** The key or certificate that the refresh token is bound to. */
  readonly confirmation?: Confirmation | undefined;
  /** `code_challenge`, S256 (RFC 7636 §4.3). */
  readonly codeChallenge?: string | undefined;
  /** The redirect URI that the code was sent to. */
  readonly redirectUri?: string | undefined;
  /** Whether the authorization request named the redirect URI: only then must the token request repeat it (RFC 6749 §4.1.3). */
  readonly redirectUriGiven?: boolean | undefined;
  /** The sign-in through a provider, if there was one. */
  readonly federation?: FederationFacts | undefined;
  readonly absoluteExpiresAt?: number | undefined;
  /** When the refresh token expires, if the record is kept for longer. */
  readonly refreshExpiresAt?: number | undefined;
  /** Whether a refresh token of another server began it. */
  readonly isImported?: true | undefined;
}

/** Returns a user's grants from a list. An invalid record must not hide the others. */
export function readableGrants(
  listed: readonly unknown[],
  userId: string,
  reporter: Pick<EventReporter, 'emit'>,
): Grant[] {
  return ownRecords(listed, userId).flatMap((record) => {
    try {
      return grantRecord(record, record.id);
    } catch (cause) {
      reporter.emit('store.failed', { operation: 'listGrants', cause });
      return [];
    }
  });
}

/** Returns the records of a list that belong to a user: a database may compare without regard to case or trailing blanks. */
export function ownRecords(listed: readonly unknown[], userId: string): StoredGrant[] {
  return listed.filter(
    (record): record is StoredGrant =>
      isJsonObject(record) && record.userId === userId && typeof record.id === 'string',
  );
}

/** Whether a grant is active: it has not expired, and the client's `grantsNotBefore` does not void it. */
export function isActive(grant: Grant, client: Pick<Client, 'grantsNotBefore'>, now: number): boolean {
  return now < grant.expiresAt && grant.createdAt >= client.grantsNotBefore * 1000;
}

/** Whether a record is void: a token of another server has inserted it, and nothing has been issued for it. */
export function isVoid({ generation, isImported }: Grant): boolean {
  return generation === 0 && isImported === true;
}

/** Whether the refresh token of a grant is active. */
export function isRefreshable(grant: Grant, client: Pick<Client, 'grantsNotBefore'>, now: number): boolean {
  return isActive(grant, client, now) && now < refreshExpiryOf(grant);
}

/** Returns when the refresh token of a grant expires. Epoch milliseconds. */
export function refreshExpiryOf({ refreshExpiresAt, expiresAt }: Grant): number {
  return refreshExpiresAt ?? expiresAt;
}

/** Returns the single claims that the client may still see: its registration may have changed since. */
export function claimsIn({ claims }: Grant, { scope }: Pick<Client, 'scope'>): RequestedClaims {
  return allowedClaims(claims ?? { idToken: [], userinfo: [] }, scope);
}

/** Returns the facts about the sign-in behind a grant. */
export function authenticationIn({ authTime, acr, amr, sid }: Grant): Authentication {
  return { authTime, acr, amr, sid };
}

/** Creates a value for `attempt`: no two writes of a grant share one. */
export function newAttempt(): string {
  // 62 random bits from a pool, which costs less than randomBytes.
  return randomUUID().slice(19);
}

/** A code older than this may come from a log: it is refused without ending its grant. Milliseconds. */
export const REPLAY_WINDOW = 600_000;

/** Leaves out what only the redemption of a code needs. */
export function redeemed(grant: Grant): Grant {
  const code = { nonce: undefined, dpopJkt: undefined, federation: undefined };
  return { ...grant, ...code, redirectUri: undefined, redirectUriGiven: undefined };
}

/** Leaves out what only a second use of the code needs, once that does not end the grant any more. */
export function settled(grant: Grant, now: number): Grant {
  return now - grant.createdAt < REPLAY_WINDOW
    ? grant
    : { ...grant, codeChallenge: undefined, redeemedAt: undefined };
}

/** Returns the identifiers of a grant for an event. */
export function identifiersOf({ id: grantId, clientId, userId }: Grant): {
  grantId: string;
  clientId: string;
  userId: string | undefined;
} {
  return { grantId, clientId, userId };
}
