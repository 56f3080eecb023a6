import { createHash } from 'node:crypto';

import { OAuthError } from '../errors';
import { algorithmsOf, publicKeyOf, thumbprint, VERIFICATION_ALGORITHMS } from './algorithms';
import { decodeJwt, hasSignature, isType } from './jwt';
import { authenticator, canonicalBytes, deriveKeys } from './keys';

/** A DPoP proof that is for its request. What is left is that it was not used before, its time and its nonce. */
export interface DpopProof {
  /** The RFC 7638 thumbprint of its key: `cnf.jkt`. */
  readonly jkt: string;
  readonly alg: string;
  /** Whether its nonce is one of ours that is still good. */
  readonly hasNonce: boolean;
  /** Whether its time is near enough: a nonce allows for clocks that are off by more. */
  readonly isTimely: boolean;
  /** What no second proof may have, and for how many seconds. */
  readonly replayKey: string;
  readonly replayLifetime: number;
}

/** The request that a proof must be for. */
export interface DpopRequest {
  readonly method: string;
  /** Its URL without query and fragment. */
  readonly url: string;
  /** The access token that goes with it, where there is one. */
  readonly accessToken?: string | undefined;
}

/** Server nonces (RFC 9449 §8): a number of the time under a MAC, so that every process knows those of the others. */
export interface DpopNonces {
  current(): string;
  isValid(nonce: unknown): boolean;
}

/** Seconds. A nonce is good for one to two of it. */
const NONCE_PERIOD = 120;
/** How far the time of a proof may be off: clients' clocks are what they are. Seconds. */
const MAXIMUM_AGE = 60;
/** How far the clocks of processes are apart. Seconds. */
const SKEW = 20;
/** With a nonce of ours, which tells the time better than the client's clock. Seconds. */
const MAXIMUM_AGE_WITH_NONCE = 300;
const MAXIMUM_LENGTH = 4096;
const MAXIMUM_JTI_LENGTH = 256;

export function dpopNonces(secrets: readonly string[], issuer: string, clock: () => number): DpopNonces {
  const macs = authenticator(deriveKeys(secrets, 'DPoP nonce', issuer));
  const period = (): number => Math.floor(clock() / 1000 / NONCE_PERIOD);

  function current(): string {
    const body = Buffer.alloc(6);
    body.writeUIntBE(period(), 0, 6);
    return Buffer.concat([body, macs.sign(body)]).toString('base64url');
  }

  function isValid(nonce: unknown): boolean {
    const bytes = typeof nonce === 'string' ? canonicalBytes(nonce) : undefined;
    if (bytes?.length !== 38 || !macs.verify(bytes.subarray(0, 6), bytes.subarray(6))) return false;
    // Processes' clocks differ by seconds: one may have begun the next period already.
    return Math.abs(period() - bytes.readUIntBE(0, 6)) <= 1;
  }

  return { current, isValid };
}

/** Checks a DPoP proof against its request. No I/O. @throws OAuthError `invalid_dpop_proof` @see RFC 9449 §4.3 */
export function dpopProof(
  proof: string,
  { method, url, accessToken }: DpopRequest,
  { clock, nonces }: { clock: () => number; nonces?: DpopNonces | undefined },
): DpopProof {
  const jwt = proof.length > MAXIMUM_LENGTH ? undefined : decodeJwt(proof);
  if (!jwt) throw invalidProof('malformed');
  const { typ, alg, jwk } = jwt.header;
  if (!isType(typ, 'dpop+jwt')) throw invalidProof('of another type');
  const known = VERIFICATION_ALGORITHMS.find((algorithm) => algorithm === alg);
  const key = publicKeyOf(jwk);
  if (!known || !key || !algorithmsOf(key).includes(known))
    throw invalidProof('without a public key of its alg');
  if (!hasSignature(proof, key, known)) throw invalidProof('not signed by its key');

  const { jti, htm, htu, iat, ath, nonce } = jwt.claims;
  if (typeof jti !== 'string' || jti === '' || jti.length > MAXIMUM_JTI_LENGTH)
    throw invalidProof('without jti');
  if (htm !== method) throw invalidProof('for another method');
  const expected = comparable(url);
  if (typeof htu !== 'string' || expected === undefined || comparable(htu) !== expected)
    throw invalidProof('for another URL');
  const hasNonce = nonces?.isValid(nonce) ?? false;
  const maximumAge = hasNonce ? MAXIMUM_AGE_WITH_NONCE : MAXIMUM_AGE;
  const now = clock() / 1000;
  if (typeof iat !== 'number' || !Number.isFinite(iat)) throw invalidProof('without iat');
  if (accessToken !== undefined && ath !== sha256(accessToken))
    throw invalidProof('not for this access token');
  const jkt = thumbprint(key);
  return {
    jkt,
    alg: known,
    hasNonce,
    isTimely: Math.abs(now - iat) <= maximumAge,
    // The client chose both, and they must not reach into the names of others.
    replayKey: `dpop:${sha256(`${jkt}.${jti}`)}`,
    // Until it is too old for every process, the one whose clock is behind too.
    replayLifetime: Math.ceil(iat - now) + maximumAge + SKEW,
  };
}

/** RFC 9449 §4.3: without query and fragment, and normalised as RFC 3986 §6.2.2 has it. */
function comparable(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { origin, pathname } = new URL(url);
  const path = pathname.replace(/%[0-9a-f]{2}/gi, (octet) => {
    const character = String.fromCharCode(parseInt(octet.slice(1), 16));
    return /[\w.~-]/.test(character) ? character : octet.toUpperCase();
  });
  return origin + path;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

export function invalidProof(reason: string): OAuthError {
  return new OAuthError('invalid_dpop_proof', `The DPoP proof is invalid: ${reason}`, { reason });
}
