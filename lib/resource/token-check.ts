import type { Request, Response } from 'express';

import type { ProofOfPossession } from '../clients/proof-of-possession';
import { scopeValues } from '../clients/client';
import { asOAuthError, OAuthError } from '../errors';
import { refusePromise } from '../hooks';
import { audiences, type AccessTokenClaims, type Confirmation } from '../tokens/access-token';
import { VERIFICATION_ALGORITHMS } from '../tokens/algorithms';

/** An access token as a request presents it. */
export interface PresentedToken {
  readonly scheme: 'Bearer' | 'DPoP';
  readonly token: string;
}

/** What a token must be good for. */
export interface TokenDemand {
  readonly scope: readonly string[];
  /** Among the token's; `undefined` where any audience will do. */
  readonly audience: string | undefined;
  /** Whether the issuer still knows the token as good; without it nobody is asked. */
  readonly isLive: IsLive | undefined;
}

export type IsLive = (claims: AccessTokenClaims, token: string) => Promise<boolean>;

export interface TokenCheckOptions {
  /** The claims of a token of this issuer, expired or not. */
  read: (token: string) => AccessTokenClaims | undefined | Promise<AccessTokenClaims | undefined>;
  possession: ProofOfPossession;
  /** Whether DPoP proofs must have a nonce. */
  requireNonce: boolean;
  /** The URL of a request as its client called it: what a DPoP proof must be for. */
  urlOf: (req: Request) => string;
  clock: () => number;
}

/** Checks an access token against its request. @throws OAuthError with the challenge that RFC 6750 §3 wants */
export type TokenCheck = (
  req: Request,
  res: Response,
  presented: PresentedToken,
  demand: TokenDemand,
) => Promise<AccessTokenClaims>;

const AUTHORIZATION = /^(bearer|dpop)(?: +([\w.~+/-]+=*))? *$/i;

/** What the `Authorization` header has, or `undefined` for another scheme or none (RFC 6750 §2.1, RFC 9449 §7.1). */
export function presentedToken(req: Request): PresentedToken | undefined {
  const { authorization = '' } = req.headers;
  const scheme = /^(bearer|dpop)\b/i.exec(authorization)?.[1];
  if (scheme === undefined) return undefined;
  const token = AUTHORIZATION.exec(authorization)?.[2] ?? '';
  return { scheme: /^dpop$/i.test(scheme) ? 'DPoP' : 'Bearer', token };
}

export function tokenCheck(options: TokenCheckOptions): TokenCheck {
  const { read, possession, requireNonce, urlOf, clock } = options;

  async function claimsOf({ token }: PresentedToken, demand: TokenDemand): Promise<AccessTokenClaims> {
    const claims = await read(token);
    if (!claims) throw invalidToken('malformed or not ours');
    if (clock() >= claims.exp * 1000) throw invalidToken('expired');
    if (demand.audience !== undefined && !audiences(claims).includes(demand.audience)) {
      throw invalidToken('for another audience');
    }
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
      const url = urlOf(req);
      refusePromise(url, 'resourceUrl');
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

  return async (req, res, presented, demand) => {
    try {
      const claims = await claimsOf(presented, demand);
      const [, live] = await Promise.all([
        prove(req, res, presented, claims.cnf),
        demand.isLive?.(claims, presented.token) ?? true,
      ]);
      if (!live) throw invalidToken('revoked');
      const granted = scopeValues(claims.scope);
      if (!demand.scope.every((value) => granted.includes(value))) throw insufficientScope(demand.scope);
      return claims;
    } catch (thrown) {
      throw challenged(asOAuthError(thrown), presented.scheme);
    }
  };
}

const CHALLENGED = ['invalid_token', 'insufficient_scope', 'invalid_dpop_proof', 'use_dpop_nonce'];

/** RFC 6750 §3, RFC 9449 §7.1: the same error, as a resource server answers it. */
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
  return new OAuthError('insufficient_scope', 'The access token has not the scope', {
    members: { scope: needed.join(' ') },
  });
}
