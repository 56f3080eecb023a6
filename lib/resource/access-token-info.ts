import { scopeValues } from '../clients/client';
import { audiencesOf, grantIdOf, type AccessTokenClaims } from '../tokens/access-token';

/** The facts of an access token, as `verifyToken` returns them and `requireToken` sets them: `req.oauth`. */
export interface AccessTokenInfo {
  /** `sub`: the user, or the client's id where the client acts for itself. To identify a user, read `userId`. */
  readonly subject: string;
  /** The user's id, or `undefined` where a client acts for itself. */
  readonly userId: string | undefined;
  /** The client that the token was issued to. */
  readonly clientId: string;
  /** The scope values. */
  readonly scope: readonly string[];
  /** The audiences. */
  readonly audience: readonly string[];
  /** The expiry. Epoch milliseconds. */
  readonly expiresAt: number;
  /** The grant that the token belongs to, if it has one. */
  readonly grantId: string | undefined;
  /** All claims of the token, frozen. */
  readonly claims: AccessTokenClaims;
}

export function accessTokenInfo(claims: AccessTokenClaims): AccessTokenInfo {
  return {
    subject: claims.sub,
    // No user has the id of the client.
    userId: claims.sub === claims.client_id ? undefined : claims.sub,
    clientId: claims.client_id,
    scope: scopeValues(claims.scope),
    audience: audiencesOf(claims),
    expiresAt: claims.exp * 1000,
    grantId: grantIdOf(claims),
    claims,
  };
}
