import type { Client } from '../clients/client';
import { serverError } from '../errors';

/** Who is signed in, as the host knows it. Further members are the host's own. */
export interface OAuthUser {
  /** Becomes `sub`, as a string. */
  id: string | number;
  /** Epoch seconds: when this user last proved who it is. Needed for `prompt=login` and `max_age`. */
  authTime?: number | null | undefined;
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

/** Epoch seconds. @throws OAuthError `server_error` if it is not a number of seconds */
export function authTimeOf({ authTime }: OAuthUser): number | undefined {
  // A row of a database has null where nothing is.
  if (authTime === undefined || authTime === null) return undefined;
  if (!Number.isFinite(authTime) || authTime > 1e11) {
    throw serverError(new TypeError('authTime of a user must be epoch seconds'));
  }
  return Math.floor(authTime);
}
