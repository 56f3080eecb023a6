import type { IncomingMessage } from 'node:http';

import type { Request, Response } from 'express';

import { invalidRequest, OAuthError } from '../errors';
import type { Confirmation } from '../tokens/access-token';
import { FAPI_ALGORITHMS } from '../tokens/algorithms';
import {
  readDpopProof,
  invalidProof,
  type DpopNonces,
  type DpopProof,
  type DpopRequest,
} from '../tokens/dpop';
import type { CertificateReader } from './certificate';
import type { Client } from './client';

/** The clients whose DPoP proofs need a nonce from the server: none, public clients, or all. */
export type NoncePolicy = 'never' | 'public' | 'always';

/** RFC 9449 §8.1 */
export const NONCE_HEADER = 'DPoP-Nonce';

/** Checks that the sender of a request holds a DPoP key or a certificate. */
export interface ProofOfPossession {
  /** Reads the DPoP proof of a request to a URL, without I/O. @throws OAuthError `invalid_dpop_proof` */
  read(req: IncomingMessage, url: string, accessToken?: string): DpopProof | undefined;
  /** Reads a DPoP proof for a request, without I/O. @throws OAuthError `invalid_dpop_proof` */
  readProof(proof: string, request: DpopRequest): DpopProof;
  /** Marks a proof as used, in every process. @throws OAuthError `invalid_dpop_proof` if it was used before */
  once(proof: DpopProof): Promise<void>;
  /**
   * Requires a fresh proof, with a nonce if `requireNonce`; `sendNonce` then gets a nonce for the client's next request.
   * @throws OAuthError `use_dpop_nonce`, `invalid_dpop_proof`
   */
  demandFresh(proof: DpopProof, requireNonce: boolean, sendNonce: (nonce: string) => void): void;
  /** Requires a proof that is acceptable for a client. @throws OAuthError `use_dpop_nonce`, `invalid_dpop_proof` */
  accept(res: Response, client: Client, proof: DpopProof): void;
  /** Returns the key and certificate that a client's tokens are bound to. @throws OAuthError if a required proof is missing */
  confirmation(
    req: Request,
    res: Response,
    client: Client,
    proof: DpopProof | undefined,
  ): Confirmation | undefined;
  certificateOf: CertificateReader;
}

interface ProofOfPossessionOptions {
  /** `undefined` where no nonces are required. */
  nonces: DpopNonces | undefined;
  noncePolicy: NoncePolicy;
  setOnce: (key: string, ttl: number) => Promise<boolean>;
  certificateOf: CertificateReader;
  clock: () => number;
}

/** @see RFC 9449, RFC 8705 */
export function createProofOfPossession(options: ProofOfPossessionOptions): ProofOfPossession {
  const { nonces, noncePolicy, setOnce, certificateOf, clock } = options;

  function readProof(proof: string, request: DpopRequest): DpopProof {
    return readDpopProof(proof, request, { clock, nonces });
  }

  function read(req: IncomingMessage, url: string, accessToken?: string): DpopProof | undefined {
    if (req.headers.dpop === undefined) return undefined;
    const [proof = '', ...others] = req.headersDistinct.dpop ?? [];
    if (others.length > 0) throw invalidProof('more than one proof');
    return readProof(proof, { method: req.method ?? '', url, accessToken });
  }

  async function once(proof: DpopProof): Promise<void> {
    // A proof that is too old or too new is refused anyway and need not be remembered.
    if (!proof.isTimely) return;
    if (!(await setOnce(proof.replayKey, proof.replayLifetime))) throw invalidProof('used before');
  }

  function demandFresh(proof: DpopProof, requireNonce: boolean, sendNonce: (nonce: string) => void): void {
    if (nonces && (requireNonce || proof.nonce === 'stale')) {
      // Sent also if the proof has a nonce, so that the client always has a valid nonce for its next request.
      sendNonce(nonces.current());
      if (proof.nonce !== 'valid') {
        throw new OAuthError('use_dpop_nonce', 'The DPoP proof needs a nonce of this server');
      }
    }
    if (!proof.isTimely) throw invalidProof('too old or too new');
  }

  function accept(res: Response, client: Client, proof: DpopProof): void {
    const requireNonce = noncePolicy === 'always' || (noncePolicy === 'public' && !client.confidential);
    demandFresh(proof, requireNonce, (nonce) => res.setHeader(NONCE_HEADER, nonce));
    if (client.fapi && !FAPI_ALGORITHMS.includes(proof.alg)) throw invalidProof('algorithm not allowed');
  }

  function confirmation(
    req: Request,
    res: Response,
    client: Client,
    proof: DpopProof | undefined,
  ): Confirmation | undefined {
    if (proof) accept(res, client, proof);
    else if (client.dpopBoundAccessTokens) throw invalidProof('missing, but required for this client');
    const thumbprint = client.tlsClientCertificateBoundAccessTokens
      ? certificateOf(req)?.thumbprint
      : undefined;
    if (client.tlsClientCertificateBoundAccessTokens && thumbprint === undefined) {
      throw invalidRequest('The client certificate is missing');
    }
    if (!proof && thumbprint === undefined) return undefined;
    return { ...(proof && { jkt: proof.jkt }), ...(thumbprint !== undefined && { 'x5t#S256': thumbprint }) };
  }

  return { read, readProof, once, demandFresh, accept, confirmation, certificateOf };
}
