import { sha256 } from '../digest';
import { serverError } from '../errors';
import { printable } from '../printable';

/** A user of the host. Further members belong to the host. */
export interface OAuthUser {
  /** The id, which becomes `sub` as a string. */
  id: string | number;
  /** When the user last proved their identity. Needed for `prompt=login` and `max_age`. Epoch seconds. */
  authTime?: number | null | undefined;
  /** The authentication context class (OpenID Connect Core §2, `acr`). */
  acr?: string | null | undefined;
  /** The authentication methods (RFC 8176), for example `['pwd', 'otp']`. */
  amr?: readonly string[] | null | undefined;
  /** The id of the host's session, for logout. Clients see a hash of it. */
  sid?: string | null | undefined;
}

/** The facts about a user's sign-in that appear in tokens. */
export interface Authentication {
  /** Epoch seconds. */
  readonly authTime?: number | undefined;
  readonly acr?: string | undefined;
  readonly amr?: readonly string[] | undefined;
  /** The hashed session id. */
  readonly sid?: string | undefined;
}

/** Returns the id as a string. @throws OAuthError `server_error` if it is neither a string nor a safe integer */
export function userIdOf(user: OAuthUser, client: { readonly clientId: string }): string {
  const { id } = user;
  requireUserId(user);
  // RFC 9068 §5: in a token that a client gets for itself, `sub` is the client's id, so no user may have that id.
  if (String(id) === client.clientId) throw serverError(new Error('a user has the id of the client'));
  return String(id);
}

/** @throws OAuthError `server_error` for a user whose id is neither a string nor a safe integer */
export function requireUserId({ id }: { readonly id?: unknown }): void {
  if (!isUserId(id)) throw serverError(new TypeError('the id of a user must be a string or a safe integer'));
}

/** Whether a value can be the id of a user: a string that is not empty, or a safe integer. */
export function isUserId(id: unknown): id is string | number {
  return typeof id === 'string' ? id !== '' : Number.isSafeInteger(id);
}

/** Returns the facts about a user's sign-in. @throws OAuthError `server_error` if a member has the wrong type */
export function authenticationOf(user: OAuthUser): Authentication {
  const { acr, amr, sid } = user;
  const valid =
    isTextOrMissing(acr) &&
    isTextOrMissing(sid) &&
    (amr ?? []).every((method: unknown) => typeof method === 'string');
  if (!valid)
    throw serverError(new TypeError('acr and sid of a user must be strings, and amr a list of strings'));
  return {
    authTime: authTimeOf(user),
    acr: acr ?? undefined,
    amr: amr ?? undefined,
    sid: sid === undefined || sid === null ? undefined : sessionId(sid),
  };
}

/** Reduces a user to the members that tokens and pages need, to be kept between two requests. */
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

/** Returns a name for pages: most hosts' users have one of these members. */
export function userNameOf(user: OAuthUser & { name?: unknown; email?: unknown }): string {
  const name = [user.name, user.email].find((value) => typeof value === 'string');
  return printable(typeof name === 'string' ? name : String(user.id));
}

/** Returns `authTime` in epoch seconds. @throws OAuthError `server_error` if it is not a number of seconds */
export function authTimeOf({ authTime }: OAuthUser): number | undefined {
  // A database row has null for a missing value.
  if (authTime === undefined || authTime === null) return undefined;
  if (!isEpochSeconds(authTime)) {
    throw serverError(new TypeError('authTime of a user must be epoch seconds'));
  }
  return Math.floor(authTime);
}

/** Whether a value is a time in seconds: in milliseconds it would be thousands of years away. */
export function isEpochSeconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value <= 1e11;
}

/** Hashes a session id for clients: at many hosts the id alone is enough to take over the session. */
export function sessionId(sid: string): string {
  return sha256(`session\n${sid}`);
}

function isTextOrMissing(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'string' && value !== '');
}
