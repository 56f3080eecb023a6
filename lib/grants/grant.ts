import { randomUUID } from 'node:crypto';

import type { StoredGrant } from '../adapters/contract';
import type { Client } from '../clients/client';
import { OAuthError, serverError } from '../errors';
import type { EventReporter } from '../events';
import type { Confirmation } from '../tokens/access-token';
import type { Authentication } from './user';
import { allowedClaims, type RequestedClaims } from './user-claims';

/**
 * One authorization of a client: a counter. Generation 0 is an unspent authorization code, 1 the first refresh token,
 * and so on. What clients hold is derived from it, and nothing of it can be replayed. Moments are epoch milliseconds.
 */
export interface Grant extends StoredGrant, Authentication {
  /** Random for each write, so that a writer whose answer was lost finds out whether it won. */
  readonly attempt: string;
  readonly scope: readonly string[];
  /** The audiences (RFC 8707). */
  readonly resources: readonly string[];
  readonly createdAt: number;
  readonly nonce?: string | undefined;
  /** Single claims that were asked for, and allowed. */
  readonly claims?: RequestedClaims | undefined;
  /** The key that must redeem the code (RFC 9449 §10). */
  readonly dpopJkt?: string | undefined;
  /** What the refresh token is bound to. */
  readonly confirmation?: Confirmation | undefined;
  /** `code_challenge`, S256 (RFC 7636 §4.3). */
  readonly codeChallenge?: string | undefined;
  /** Where the code was sent. */
  readonly redirectUri?: string | undefined;
  /** Whether the authorization request named it: only then must the token request (RFC 6749 §4.1.3). */
  readonly redirectUriGiven?: boolean | undefined;
  /** How its user signed in through a provider, if so. */
  readonly federation?: FederationFacts | undefined;
  readonly redeemedAt?: number | undefined;
  readonly rotatedAt?: number | undefined;
  readonly absoluteExpiresAt?: number | undefined;
  /** When its refresh token ends, where the record is kept for longer. */
  readonly refreshExpiresAt?: number | undefined;
}

/** A sign-in through an upstream provider, as the token response and its hook tell it. */
export interface FederationFacts {
  readonly providerId: string;
  readonly type: 'authenticate' | 'link';
  /** The host made the account just then. */
  readonly isNewUser: boolean;
  /** Where the app wants to go afterwards: one of the client's registered URIs. */
  readonly afterCallbackRedirectUrl: string | undefined;
}

/** What an adapter gave back. @throws OAuthError `server_error` if it is not what was stored */
export function asGrant(stored: StoredGrant | undefined | null, grantId: string): Grant | undefined {
  if (stored === undefined || stored === null) return undefined;
  const { id, generation, clientId, userId, expiresAt, attempt, scope, resources, createdAt } =
    stored as Partial<Grant>;
  const valid =
    id === grantId &&
    Number.isSafeInteger(generation) &&
    typeof clientId === 'string' &&
    (userId === undefined || typeof userId === 'string') &&
    typeof attempt === 'string' &&
    Number.isFinite(expiresAt) &&
    Number.isFinite(createdAt) &&
    Array.isArray(scope) &&
    Array.isArray(resources);
  if (!valid) throw serverError(new TypeError('getGrant() of the adapter did not give back what was stored'));
  return stored as Grant;
}

/** Those of a list that can be read: one that cannot must not hide the others. */
export function readableGrants(
  stored: readonly (StoredGrant | undefined | null)[],
  reporter: Pick<EventReporter, 'emit'>,
): Grant[] {
  return stored.flatMap((record) => {
    try {
      return (record && asGrant(record, record.id)) ?? [];
    } catch (cause) {
      reporter.emit('store.failed', { operation: 'listGrants', cause });
      return [];
    }
  });
}

/** Whether a grant still stands: not expired, and not made void with all of its client's. */
export function stands(grant: Grant, client: Pick<Client, 'grantsNotBefore'>, now: number): boolean {
  return now < grant.expiresAt && grant.createdAt >= client.grantsNotBefore * 1000;
}

/** When the refresh token of a grant ends. */
export function refreshExpiryOf({ refreshExpiresAt, expiresAt }: Grant): number {
  return refreshExpiresAt ?? expiresAt;
}

/** One description for every cause, so that nothing can be probed; the reason goes to the operator. */
export function invalidGrant(what: 'authorization code' | 'refresh token', reason: string): OAuthError {
  return new OAuthError('invalid_grant', `The ${what} is unknown or invalid`, { reason });
}

/** The single claims that the client may still see: its registration may have changed since. */
export function claimsIn({ claims }: Grant, { scope }: Pick<Client, 'scope'>): RequestedClaims {
  return allowedClaims(claims ?? { idToken: [], userinfo: [] }, scope);
}

/** How the user of a grant signed in. */
export function authenticationIn({ authTime, acr, amr, sid }: Grant): Authentication {
  return { authTime, acr, amr, sid };
}

/** For `attempt`: no two writes have the same. */
export function newAttempt(): string {
  return randomUUID();
}

/** Whose grant an event is about. */
export function subjectOf({ id: grantId, clientId, userId }: Grant): {
  grantId: string;
  clientId: string;
  userId: string | undefined;
} {
  return { grantId, clientId, userId };
}
