import type { X509Certificate } from 'node:crypto';

import Joi from 'joi';

import { readCertificate } from '../clients/certificate';
import type { ProofOfPossession } from '../clients/proof-of-possession';
import { accessTokenInfo, type AccessTokenInfo } from './access-token-info';
import { requirementsSchema, type ReadRequirements, type RequireTokenOptions } from './requirements';
import type { Possession, TokenCheck } from './token-check';

/** A DPoP proof, and the request that it was sent with (RFC 9449 §4.3). */
export interface PresentedProof {
  /** The proof: the value of the header `DPoP`. */
  proof: string | undefined;
  /** The method of the request. */
  method: string;
  /** The URL of the request as its client called it. */
  url: string;
  /** Receives a nonce for the client's next request, if nonces are required. @defaultValue the nonce is dropped */
  sendNonce?: (nonce: string) => void;
}

/** The options of `verifyToken`. */
export interface VerifyTokenOptions extends RequireTokenOptions {
  /** The DPoP proof that came with a token which is bound to a key. @defaultValue such a token is refused */
  dpop?: PresentedProof;
  /** The TLS client certificate that came with a token which is bound to one. @defaultValue such a token is refused */
  certificate?: X509Certificate | string | Buffer;
  /** Accepts a bound token without a proof: the caller checks itself that the sender holds the key. @defaultValue `false` */
  possessionChecked?: boolean;
}

/**
 * Verifies an access token outside of a route: for a WebSocket, a message queue, a test. A token that is bound to a key or a
 * certificate is refused unless its proof comes along.
 *
 * @throws OAuthError `invalid_token`, also without a token; `insufficient_scope`, `invalid_dpop_proof`, `use_dpop_nonce`,
 *   `temporarily_unavailable`, or `server_error` for a certificate that cannot be read
 * @throws OAuthConfigurationError for invalid options
 */
export type VerifyToken = (
  token: string | undefined | null,
  options?: VerifyTokenOptions,
) => Promise<AccessTokenInfo>;

const schema = requirementsSchema.keys({
  // A stranger sent the values: a wrong one is a wrong proof.
  dpop: Joi.object({ proof: Joi.any(), method: Joi.any(), url: Joi.any(), sendNonce: Joi.function() }),
  certificate: Joi.any(),
  possessionChecked: Joi.boolean(),
});

export function createVerifyToken(options: {
  check: TokenCheck;
  readRequirements: ReadRequirements;
  possession: Pick<ProofOfPossession, 'readProof'>;
}): VerifyToken {
  const { check, readRequirements, possession } = options;

  function possessionOf(token: string, { dpop, certificate }: VerifyTokenOptions): Possession {
    return {
      scheme: undefined,
      isShown: dpop?.proof !== undefined && dpop.proof !== '',
      proof: () => {
        if (typeof dpop?.proof !== 'string' || dpop.proof === '') return undefined;
        return possession.readProof(dpop.proof, { ...dpop, accessToken: token });
      },
      certificate: () => (certificate === undefined ? undefined : readCertificate(certificate)),
      sendNonce: (nonce) => dpop?.sendNonce?.(nonce),
    };
  }

  return async function verifyToken(token, given = {}) {
    const requirements = readRequirements('verifyToken()', given, schema);
    const text = typeof (token as unknown) === 'string' ? (token ?? '') : '';
    const shown = given.possessionChecked ? undefined : possessionOf(text, given);
    const { claims } = await check.ofToken(text, shown, requirements);
    return accessTokenInfo(claims);
  };
}
