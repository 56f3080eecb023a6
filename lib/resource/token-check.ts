import type { Request, Response } from 'express';

import { scopeValues } from '../clients/client';
import type { ProofOfPossession } from '../clients/proof-of-possession';
import { asOAuthError, OAuthError } from '../errors';
import { callHostSync } from '../host/call';
import { audiencesOf, type AccessTokenClaims, type Confirmation } from '../tokens/access-token';
import { VERIFICATION_ALGORITHMS } from '../tokens/algorithms';

/** An access token as a request presents it. */
export interface PresentedToken {
  readonly scheme: 'Bearer' | 'DPoP';
  readonly token: string;
}

/** The requirements that a token must meet. */
export interface TokenRequirements<Status> {
  readonly scope: readonly string[];
  /** The audience that the token must be for; `undefined` accepts any. */
  readonly audience: string | undefined;
  /** Looks up whether the token is active; without it, no store or server is asked and there is no status. */
  readonly statusOf: StatusOf<Status> | undefined;
}

/** Looks up an access token. Returns `undefined` if it is not active. */
export type StatusOf<Status> = (claims: AccessTokenClaims, token: string) => Promise<Status | undefined>;

/** An access token that met all requirements. */
export interface CheckedToken<Status> {
  readonly claims: AccessTokenClaims;
  /** The result of `statusOf`. */
  readonly status: Status;
}

export interface TokenCheckOptions {
  /** Returns the claims of a token of this issuer, expired or not. */
  read: (token: string) => AccessTokenClaims | undefined | Promise<AccessTokenClaims | undefined>;
  possession: ProofOfPossession;
  /** Whether DPoP proofs need a nonce. */
  requireNonce: boolean;
  /** Returns the URL of a request as its client called it, which a DPoP proof must be for. */
  urlOf: (req: Request) => string;
  clock: () => number;
}

/** Checks an access token against its request. @throws OAuthError with the challenge of RFC 6750 §3 */
export type TokenCheck = <Status>(
  req: Request,
  res: Response,
  presented: PresentedToken,
  requirements: TokenRequirements<Status>,
) => Promise<CheckedToken<Status>>;

const AUTHORIZATION = /^(bearer|dpop)(?: +([\w.~+/-]+=*))? *$/i;

/** Reads the `Authorization` header. Returns `undefined` for another scheme or none (RFC 6750 §2.1, RFC 9449 §7.1). */
export function presentedToken(req: Request): PresentedToken | undefined {
  const { authorization = '' } = req.headers;
  const scheme = /^(bearer|dpop)\b/i.exec(authorization)?.[1];
  if (scheme === undefined) return undefined;
  const token = AUTHORIZATION.exec(authorization)?.[2] ?? '';
  return { scheme: /^dpop$/i.test(scheme) ? 'DPoP' : 'Bearer', token };
}

export function createTokenCheck(options: TokenCheckOptions): TokenCheck {
  const { read, possession, requireNonce, urlOf, clock } = options;

  async function claimsOf(token: string, audience: string | undefined): Promise<AccessTokenClaims> {
    const claims = await read(token);
    if (!claims) throw invalidToken('malformed or from another issuer');
    if (clock() >= claims.exp * 1000) throw invalidToken('expired');
    if (audience !== undefined && !audiencesOf(claims).includes(audience))
      throw invalidToken('for another audience');
    return claims;
  }

  /** RFC 9449 §7.1 and §7.2, RFC 8705 §3 */
  async function prove(
    req: Request,
    res: Response,
    { scheme, token }: PresentedToken,
    bound: Confirmation = {},
  ): Promise<void> {
    if ((scheme === 'DPoP') !== (bound.jkt !== undefined)) throw invalidToken('with the wrong scheme');
    if (scheme === 'DPoP') {
      const url = callHostSync('resourceUrl', () => urlOf(req));
      const proof = possession.read(req, url, token);
      if (!proof) throw new OAuthError('invalid_dpop_proof', 'The DPoP proof is missing');
      if (proof.jkt !== bound.jkt) throw invalidToken('bound to another key');
      possession.demandFresh(res, proof, requireNonce);
      await possession.once(proof);
    }
    const thumbprint = bound['x5t#S256'];
    if (thumbprint !== undefined && possession.certificateOf(req)?.thumbprint !== thumbprint) {
      throw invalidToken('bound to another certificate');
    }
  }

  return async (req, res, presented, { scope, audience, statusOf }) => {
    try {
      const claims = await claimsOf(presented.token, audience);
      const [, status] = await Promise.all([
        prove(req, res, presented, claims.cnf),
        statusOf?.(claims, presented.token),
      ]);
      if (statusOf && status === undefined) throw invalidToken('revoked');
      const granted = scopeValues(claims.scope);
      if (!scope.every((value) => granted.includes(value))) throw insufficientScope(scope);
      // Without `statusOf`, `Status` is `undefined`.
      return { claims, status: status as NonNullable<typeof status> };
    } catch (thrown) {
      throw challenged(asOAuthError(thrown), presented.scheme);
    }
  };
}

const CHALLENGED: readonly string[] = [
  'invalid_token',
  'insufficient_scope',
  'invalid_dpop_proof',
  'use_dpop_nonce',
];

/** Converts an error to the form of a resource server, with a challenge (RFC 6750 §3, RFC 9449 §7.1). */
export function challenged(error: OAuthError, scheme: PresentedToken['scheme']): OAuthError {
  if (!CHALLENGED.includes(error.code)) return error;
  const { code, description, reason, members } = error;
  const attributes = [
    `error="${code}"`,
    `error_description="${description}"`,
    ...(members?.scope === undefined ? [] : [`scope="${members.scope as string}"`]),
    ...(scheme === 'DPoP' ? [`algs="${VERIFICATION_ALGORITHMS.join(' ')}"`] : []),
  ];
  return new OAuthError(code, description, {
    status: code === 'insufficient_scope' ? 403 : 401,
    challenge: `${scheme} ${attributes.join(', ')}`,
    ...(reason !== undefined && { reason }),
  });
}

export function invalidToken(reason: string): OAuthError {
  const description = 'The access token is malformed, expired, revoked or for another audience';
  return new OAuthError('invalid_token', description, { reason });
}

function insufficientScope(needed: readonly string[]): OAuthError {
  return new OAuthError('insufficient_scope', 'The access token lacks the required scope', {
    members: { scope: needed.join(' ') },
  });
}
