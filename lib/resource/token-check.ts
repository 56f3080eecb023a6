import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Request } from 'express';

import { scopeValues } from '../clients/client';
import type { PresentedCertificate } from '../clients/certificate';
import { NONCE_HEADER, type ProofOfPossession } from '../clients/proof-of-possession';
import { asOAuthError, OAuthError } from '../errors';
import { callHostSync } from '../host/call';
import { audiencesOf, timeFault, type AccessTokenClaims, type Confirmation } from '../tokens/access-token';
import type { DpopProof } from '../tokens/dpop';
import { challenged, type RouteFacts } from './challenge';
import type { PresentedToken, Scheme } from './presented-token';

/** The requirements that a token must meet. */
export interface TokenRequirements<Status> extends RouteFacts {
  /** The audience that the token must be for; `undefined` accepts any. */
  readonly audience: string | undefined;
  /** The values of `acr` of which the token must have one; any if left out. */
  readonly acr?: readonly string[] | undefined;
  /** How long ago the user may have signed in. Seconds. */
  readonly maxAge?: number | undefined;
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

/** How the sender of a token proves to hold its key and certificate. */
export interface Possession {
  /** The scheme of the request; `undefined` for a token that did not come with a request. */
  readonly scheme: Scheme | undefined;
  /** Whether there is a proof, for a token without a scheme. */
  readonly isShown: boolean;
  /** Reads the DPoP proof. @throws OAuthError `invalid_dpop_proof` */
  proof(): DpopProof | undefined;
  certificate(): Pick<PresentedCertificate, 'thumbprint'> | undefined;
  sendNonce(nonce: string): void;
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

/** Checks access tokens. */
export interface TokenCheck {
  /** Checks a token against its request. @throws OAuthError with the challenge of RFC 6750 §3 */
  ofRequest<Status>(
    req: IncomingMessage,
    res: ServerResponse,
    presented: PresentedToken,
    requirements: TokenRequirements<Status>,
  ): Promise<CheckedToken<Status>>;
  /**
   * Checks a token by itself. Without `possession`, the caller checks the possession of a bound token's key and certificate.
   * @throws OAuthError with the challenge of RFC 6750 §3
   */
  ofToken<Status>(
    token: string,
    possession: Possession | undefined,
    requirements: TokenRequirements<Status>,
  ): Promise<CheckedToken<Status>>;
}

export function createTokenCheck(options: TokenCheckOptions): TokenCheck {
  const { read, possession, requireNonce, urlOf, clock } = options;

  function valid(claims: AccessTokenClaims | undefined, audience: string | undefined): AccessTokenClaims {
    if (!claims) throw invalidToken('malformed or from another server');
    const fault = timeFault(claims, clock());
    if (fault) throw invalidToken(fault);
    if (audience !== undefined && !audiencesOf(claims).includes(audience))
      throw invalidToken('for another audience');
    return claims;
  }

  /** Checks the possession of the key and the certificate. The result is a promise where the store is asked (RFC 9449 §7, RFC 8705 §3). */
  function prove(
    shown: Possession,
    { jkt, 'x5t#S256': thumbprint }: Confirmation,
    requiresDpop: boolean,
  ): Promise<void> | undefined {
    if (requiresDpop && jkt === undefined) throw invalidToken('not bound to a key, which is required here');
    const isPlain = jkt === undefined;
    if (isPlain && (shown.scheme === 'DPoP' || (!shown.scheme && shown.isShown)))
      throw invalidToken('not bound to a key: send it as Bearer');
    if (shown.scheme === 'Bearer' && jkt !== undefined)
      throw invalidToken('bound to a key: send it as DPoP, with a proof', 'DPoP');
    if (thumbprint !== undefined && shown.certificate()?.thumbprint !== thumbprint)
      throw invalidToken('bound to another certificate');
    if (jkt === undefined) return undefined;
    const proof = shown.proof();
    if (!proof) throw new OAuthError('invalid_dpop_proof', 'The DPoP proof is missing');
    if (proof.jkt !== jkt) throw invalidToken('bound to another key');
    possession.demandFresh(proof, requireNonce, (nonce) => shown.sendNonce(nonce));
    return possession.once(proof);
  }

  const check: TokenCheck['ofToken'] = async (token, shown, requirements) => {
    const { scope, audience, statusOf, requiresDpop = false } = requirements;
    const claims = valid(await read(token), audience);
    const proving = shown && prove(shown, claims.cnf ?? {}, requiresDpop);
    // A token that was seen before waits for nothing: most requests have one.
    const [, status] = proving || statusOf ? await Promise.all([proving, statusOf?.(claims, token)]) : [];
    if (statusOf && status === undefined) throw invalidToken('revoked');
    requireAuthentication(claims, requirements);
    const granted = scopeValues(claims.scope);
    if (!scope.every((value) => granted.includes(value))) throw insufficientScope(scope);
    // Without `statusOf`, `Status` is `undefined`.
    return { claims, status: status as NonNullable<typeof status> };
  };

  /** RFC 9470 §3 */
  function requireAuthentication(
    { acr: given, auth_time: authTime }: AccessTokenClaims,
    { acr, maxAge }: Pick<TokenRequirements<unknown>, 'acr' | 'maxAge'>,
  ): void {
    const isMet = acr === undefined || acr.some((value) => value === given);
    const isRecent = maxAge === undefined || Math.floor(clock() / 1000) - (authTime ?? -Infinity) <= maxAge;
    if (isMet && isRecent) return;
    const reason = isMet ? 'the sign-in is too long ago' : 'acr not satisfied';
    const description = 'The user must sign in again, or in another way';
    const members = { acr_values: acr?.join(' '), max_age: maxAge };
    throw new OAuthError('insufficient_user_authentication', description, { reason, members });
  }

  return {
    ofRequest: async (req, res, { scheme, token }, requirements) => {
      const shown: Possession = {
        scheme,
        isShown: scheme === 'DPoP',
        proof: () => {
          const url = callHostSync('resourceUrl', () => urlOf(req as Request));
          return possession.read(req, url, token);
        },
        certificate: () => possession.certificateOf(req as Request),
        sendNonce: (nonce) => res.setHeader(NONCE_HEADER, nonce),
      };
      try {
        return await check(token, shown, requirements);
      } catch (thrown) {
        throw challenged(asOAuthError(thrown), scheme, requirements);
      }
    },
    ofToken: async (token, shown, requirements) => {
      try {
        return await check(token, shown, requirements);
      } catch (thrown) {
        throw challenged(asOAuthError(thrown), 'Bearer', requirements);
      }
    },
  };
}

/**
 * Creates the error for an access token that is not valid here. The fault may be told: either this server signed the token, or the
 * token is not one of its tokens. `scheme` is the scheme that the token needs.
 */
export function invalidToken(fault: string, scheme?: Scheme): OAuthError {
  const options = { reason: fault, ...(scheme && { challenge: scheme }) };
  return new OAuthError('invalid_token', `The access token is ${fault}`, options);
}

function insufficientScope(needed: readonly string[]): OAuthError {
  return new OAuthError(
    'insufficient_scope',
    `The access token lacks the required scope: ${needed.join(' ')}`,
  );
}
