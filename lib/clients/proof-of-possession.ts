import type { Request, Response } from 'express';

import { OAuthError } from '../errors';
import type { Confirmation } from '../tokens/access-token';
import { FAPI_ALGORITHMS } from '../tokens/algorithms';
import { dpopProof, invalidProof, type DpopNonces, type DpopProof } from '../tokens/dpop';
import type { CertificateReader } from './certificate';
import type { Client } from './client';

/** Whose proofs must have a nonce of the server's: nobody's, those of public clients, or all. */
export type NoncePolicy = 'never' | 'public' | 'always';

/** What a request proves that its sender has: a DPoP key, a certificate. */
export interface ProofOfPossession {
  /** The DPoP proof of a request to a URL, checked without I/O. @throws OAuthError `invalid_dpop_proof` */
  read(req: Request, url: string, accessToken?: string): DpopProof | undefined;
  /** Uses a proof up, in every process at once. @throws OAuthError `invalid_dpop_proof` if it was used before */
  once(proof: DpopProof | undefined): Promise<void>;
  /** Whether a proof is fresh, with a nonce if it must have one. @throws OAuthError `use_dpop_nonce`, `invalid_dpop_proof` */
  demandFresh(res: Response, proof: DpopProof, requireNonce: boolean): void;
  /** Whether a proof will do for this client. @throws OAuthError `use_dpop_nonce`, `invalid_dpop_proof` */
  accept(res: Response, client: Client, proof: DpopProof): void;
  /** What the tokens of a client are to be bound to. @throws OAuthError if it must prove something and does not */
  confirmation(
    req: Request,
    res: Response,
    client: Client,
    proof: DpopProof | undefined,
  ): Confirmation | undefined;
  certificateOf: CertificateReader;
}

interface ProofOfPossessionOptions {
  /** `undefined` where none are asked for. */
  nonces: DpopNonces | undefined;
  noncePolicy: NoncePolicy;
  setOnce: (key: string, ttl: number) => Promise<boolean>;
  certificateOf: CertificateReader;
  clock: () => number;
}

/** @see RFC 9449, RFC 8705 */
export function proofOfPossession(options: ProofOfPossessionOptions): ProofOfPossession {
  const { nonces, noncePolicy, setOnce, certificateOf, clock } = options;

  function read(req: Request, url: string, accessToken?: string): DpopProof | undefined {
    if (req.headers.dpop === undefined) return undefined;
    const [proof = '', ...others] = req.headersDistinct.dpop ?? [];
    if (others.length > 0) throw invalidProof('more than one');
    return dpopProof(proof, { method: req.method, url, accessToken }, { clock, nonces });
  }

  async function once(proof: DpopProof | undefined): Promise<void> {
    // One that is too old will be refused anyway, and need not be remembered.
    if (!proof?.isTimely) return;
    if (!(await setOnce(proof.replayKey, proof.replayLifetime))) throw invalidProof('used before');
  }

  function demandFresh(res: Response, proof: DpopProof, requireNonce: boolean): void {
    if (requireNonce && nonces) {
      // With every answer, so that the client always has one that is good.
      res.setHeader('DPoP-Nonce', nonces.current());
      if (!proof.hasNonce) {
        throw new OAuthError('use_dpop_nonce', 'The authorization server requires a nonce in the DPoP proof');
      }
    }
    if (!proof.isTimely) throw invalidProof('too old or too new');
  }

  function accept(res: Response, client: Client, proof: DpopProof): void {
    demandFresh(res, proof, noncePolicy === 'always' || (noncePolicy === 'public' && !client.confidential));
    if (client.fapi && !FAPI_ALGORITHMS.includes(proof.alg)) throw invalidProof('algorithm not allowed');
  }

  function confirmation(
    req: Request,
    res: Response,
    client: Client,
    proof: DpopProof | undefined,
  ): Confirmation | undefined {
    if (proof) accept(res, client, proof);
    else if (client.dpopBoundAccessTokens) throw invalidProof('missing, but the client is registered for it');
    const thumbprint = client.tlsClientCertificateBoundAccessTokens
      ? certificateOf(req)?.thumbprint
      : undefined;
    if (client.tlsClientCertificateBoundAccessTokens && thumbprint === undefined) {
      throw new OAuthError('invalid_request', 'The client certificate is missing');
    }
    if (!proof && thumbprint === undefined) return undefined;
    return { ...(proof && { jkt: proof.jkt }), ...(thumbprint !== undefined && { 'x5t#S256': thumbprint }) };
  }

  return { read, once, demandFresh, accept, confirmation, certificateOf };
}
