import { createHash } from 'node:crypto';

import { isAccessToken } from './access-token';
import { PLAIN_TYPE, signJwt } from './jwt';
import type { SigningKeys } from './signing-keys';

/** The claims of an ID token, besides those that every ID token has (OpenID Connect Core §2). Times are epoch seconds. */
export interface IdTokenClaims {
  readonly sub: string;
  /** The client id. */
  readonly aud: string;
  readonly exp: number;
  readonly iat: number;
  readonly auth_time?: number | undefined;
  readonly nonce?: string | undefined;
  readonly acr?: string | undefined;
  readonly amr?: readonly string[] | undefined;
  readonly sid?: string | undefined;
  readonly [claim: string]: unknown;
}

/** Signs and reads ID tokens. No I/O. */
export interface IdTokens {
  issue(claims: IdTokenClaims, options: { algorithms: readonly string[]; accessToken: string }): string;
  /** Returns the claims of an `id_token_hint`, if it is an ID token issued by this server, expired or not. */
  read(token: string): IdTokenClaims | undefined;
}

const TYPE = 'JWT';
const MAXIMUM_ID_TOKEN_LENGTH = 8192;

export function createIdTokens(keys: SigningKeys, issuer: string): IdTokens {
  function issue(
    claims: IdTokenClaims,
    { algorithms, accessToken }: { algorithms: readonly string[]; accessToken: string },
  ): string {
    const signer = keys.signer(algorithms);
    const hash = leftHalfHash(accessToken, signer.alg);
    return signJwt({ ...claims, iss: issuer, azp: claims.aud, at_hash: hash }, signer, TYPE);
  }

  function read(token: string): IdTokenClaims | undefined {
    if (token.length > MAXIMUM_ID_TOKEN_LENGTH) return undefined;
    const claims = keys.read(token, [PLAIN_TYPE])?.claims;
    const valid = claims?.iss === issuer && typeof claims.sub === 'string' && typeof claims.aud === 'string';
    // Access tokens may have the same type, for resource servers that know no other.
    return valid && !isAccessToken(claims) ? (claims as IdTokenClaims) : undefined;
  }

  return { issue, read };
}

/** Returns the left half of a text's hash, with the hash function of the signature algorithm (OpenID Connect Core §3.1.3.6). */
function leftHalfHash(text: string, alg: string): string {
  const digest = createHash(`sha${alg.slice(2)}`)
    .update(text)
    .digest();
  return digest.subarray(0, digest.length / 2).toString('base64url');
}
