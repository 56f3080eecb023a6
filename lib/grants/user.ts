import { createHash } from 'node:crypto';

import type { Client } from '../clients/client';
import { serverError } from '../errors';

/** Who is signed in, as the host knows it. Further members are the host's own. */
export interface OAuthUser {
  /** Becomes `sub`, as a string. */
  id: string | number;
  /** Epoch seconds: when this user last proved who it is. Needed for `prompt=login` and `max_age`. */
  authTime?: number | null | undefined;
  /** How strongly (OpenID Connect Core §2, `acr`). */
  acr?: string | null | undefined;
  /** By which methods (RFC 8176), for example `['pwd', 'otp']`. */
  amr?: readonly string[] | null | undefined;
  /** The id of the host's session, for logout. Clients see a hash of it. */
  sid?: string | null | undefined;
}

/** How a user signed in: what of it goes into tokens. */
export interface Authentication {
  /** Epoch seconds. */
  readonly authTime?: number | undefined;
  readonly acr?: string | undefined;
  readonly amr?: readonly string[] | undefined;
  /** As clients see it. */
  readonly sid?: string | undefined;
}

/** The id as a string. @throws OAuthError `server_error` if it is neither a string nor a safe integer */
export function userIdOf(user: OAuthUser, client: Pick<Client, 'clientId'>): string {
  const id: unknown = user.id;
  const valid = typeof id === 'string' ? id !== '' : Number.isSafeInteger(id);
  if (!valid) throw serverError(new TypeError('the id of a user must be a string or a safe integer'));
  // RFC 9068 §5: a token whose `sub` is its own client's id is the client's, never a user's.
  if (String(id) === client.clientId) throw serverError(new Error('a user has the id of the client'));
  return String(id);
}

/** @throws OAuthError `server_error` if a member is not what it must be */
export function authenticationOf(user: OAuthUser): Authentication {
  const { acr, amr, sid } = user;
  const valid =
    isTextOrMissing(acr) &&
    isTextOrMissing(sid) &&
    (amr ?? []).every((method: unknown) => typeof method === 'string');
  if (!valid)
    throw serverError(new TypeError('acr and sid of a user must be strings, and amr a list of them'));
  return {
    authTime: authTimeOf(user),
    acr: acr ?? undefined,
    amr: amr ?? undefined,
    sid: sid === undefined || sid === null ? undefined : sessionId(sid),
  };
}

/** What is kept of a user between two requests: what tokens and pages say. */
export function essentialsOf(user: OAuthUser & { name?: unknown; email?: unknown }): OAuthUser {
  const { id, acr, amr, sid, name, email } = user;
  return {
    id,
    acr,
    amr,
    sid,
    ...(typeof name === 'string' && { name }),
    ...(typeof email === 'string' && { email }),
  };
}

/** For pages: a host's user mostly has one of these. */
export function userNameOf(user: OAuthUser & { name?: unknown; email?: unknown }): string {
  const name = [user.name, user.email].find((value) => typeof value === 'string');
  return typeof name === 'string' ? name : String(user.id);
}

/** Epoch seconds. @throws OAuthError `server_error` if it is not a number of seconds */
export function authTimeOf({ authTime }: OAuthUser): number | undefined {
  // A row of a database has null where nothing is.
  if (authTime === undefined || authTime === null) return undefined;
  if (!Number.isFinite(authTime) || authTime > 1e11) {
    throw serverError(new TypeError('authTime of a user must be epoch seconds'));
  }
  return Math.floor(authTime);
}

/** As clients see it: many a host's own id is all that its cookie holds. */
export function sessionId(sid: string): string {
  return createHash('sha256').update(`session\n${sid}`).digest('base64url');
}

function isTextOrMissing(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'string' && value !== '');
}
