import { sha256 } from '../digest';
import { OAuthError } from '../errors';
import { algorithmsOf, publicKeyOf, thumbprint, VERIFICATION_ALGORITHMS } from './algorithms';
import { decodeJwt, hasSignature, isJti, isType } from './jwt';
import { createAuthenticator, canonicalBytes, deriveKeys, type Secrets } from './keys';

/** A DPoP proof that matches its request. Its reuse, its time and its nonce are still to be checked. */
export interface DpopProof {
  /** The RFC 7638 thumbprint of its key: `cnf.jkt`. */
  readonly jkt: string;
  readonly alg: string;
  /** Whether it has a valid nonce from this server, another nonce, or none. */
  readonly nonce: 'valid' | 'stale' | 'none';
  /** Whether it is recent: by its nonce, or else by its own time. */
  readonly isTimely: boolean;
  /** The key in the store that marks the proof as used: no other proof may have it. */
  readonly replayKey: string;
  /** How long `replayKey` must be remembered. Seconds. */
  readonly replayLifetime: number;
}

/** The request that a proof must be for. */
export interface DpopRequest {
  readonly method: string;
  /** Its URL without query and fragment. */
  readonly url: string;
  /** The access token of the request, if it has one. */
  readonly accessToken?: string | undefined;
}

/** Server nonces (RFC 9449 §8): the number of the current period with a MAC, so that every process recognizes all of them. */
export interface DpopNonces {
  current(): string;
  isValid(nonce: unknown): boolean;
}

/** The length of a period: a nonce is valid for one to two of them. Seconds. */
const NONCE_PERIOD = 120;
/** The longest time for which any process accepts a nonce: processes' clocks may be in different periods. Seconds. */
const NONCE_LIFETIME = 3 * NONCE_PERIOD;
/** How far the time of a proof may differ from the server's time. Seconds. */
const MAXIMUM_AGE = 60;
/** How far processes' clocks may differ. Seconds. */
const SKEW = 20;
const MAXIMUM_PROOF_LENGTH = 4096;

export function createDpopNonces(secrets: Secrets, issuer: string, clock: () => number): DpopNonces {
  const macs = createAuthenticator(deriveKeys(secrets, 'DPoP nonce', issuer));
  const period = (): number => Math.floor(clock() / 1000 / NONCE_PERIOD);

  function current(): string {
    const body = Buffer.alloc(6);
    body.writeUIntBE(period(), 0, 6);
    return Buffer.concat([body, macs.sign(body)]).toString('base64url');
  }

  function isValid(nonce: unknown): boolean {
    const bytes = typeof nonce === 'string' ? canonicalBytes(nonce) : undefined;
    if (bytes?.length !== 38 || !macs.verify(bytes.subarray(0, 6), bytes.subarray(6))) return false;
    // Processes' clocks differ by seconds: another process may already be in the next period.
    return Math.abs(period() - bytes.readUIntBE(0, 6)) <= 1;
  }

  return { current, isValid };
}

/** Checks a DPoP proof against its request. No I/O. @throws OAuthError `invalid_dpop_proof` @see RFC 9449 §4.3 */
export function readDpopProof(
  proof: string,
  { method, url, accessToken }: DpopRequest,
  { clock, nonces }: { clock: () => number; nonces?: DpopNonces | undefined },
): DpopProof {
  const jwt = proof.length > MAXIMUM_PROOF_LENGTH ? undefined : decodeJwt(proof);
  if (!jwt) throw invalidProof('malformed');
  const { typ, alg, jwk } = jwt.header;
  if (!isType(typ, 'dpop+jwt')) throw invalidProof('of another type');
  const known = VERIFICATION_ALGORITHMS.find((algorithm) => algorithm === alg);
  const key = publicKeyOf(jwk);
  if (!known || !key || !algorithmsOf(key).includes(known))
    throw invalidProof('without a public key for its alg');
  if (!hasSignature(proof, key, known)) throw invalidProof('not signed by its key');

  const { jti, htm, htu, iat, ath, nonce } = jwt.claims;
  if (!isJti(jti)) throw invalidProof('without a valid jti');
  if (htm !== method) throw invalidProof('for another method');
  const expected = comparable(url);
  if (typeof htu !== 'string' || expected === undefined || comparable(htu) !== expected)
    throw invalidProof('for another URL');
  const hasNonce = nonces?.isValid(nonce) ?? false;
  // A proof with a nonce is good while the nonce is: later, its own time must not make it good again.
  const isStale = !hasNonce && nonces !== undefined && nonce !== undefined;
  const now = clock() / 1000;
  if (typeof iat !== 'number' || !Number.isFinite(iat)) throw invalidProof('without a valid iat');
  if (accessToken !== undefined && ath !== sha256(accessToken))
    throw invalidProof('not for this access token');
  const jkt = thumbprint(key);
  return {
    jkt,
    alg: known,
    nonce: hasNonce ? 'valid' : isStale ? 'stale' : 'none',
    // RFC 9449 §4.3: a nonce of this server tells the time. The clock of the client may be wrong.
    isTimely: hasNonce || (!isStale && Math.abs(now - iat) <= MAXIMUM_AGE),
    // Hashed, because the client chose both values, which must not collide with other keys.
    replayKey: `dpop:${sha256(`${jkt}.${jti}`)}`,
    // Until the proof is too old in every process, even one whose clock is behind.
    replayLifetime: hasNonce ? NONCE_LIFETIME + SKEW : Math.ceil(iat - now) + MAXIMUM_AGE + SKEW,
  };
}

/** Normalizes a URL as in RFC 3986 §6.2.2, and removes its query and fragment (RFC 9449 §4.3). */
function comparable(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { origin, pathname } = new URL(url);
  const path = pathname.replace(/%[0-9a-f]{2}/gi, (octet) => {
    const character = String.fromCharCode(parseInt(octet.slice(1), 16));
    return /[\w.~-]/.test(character) ? character : octet.toUpperCase();
  });
  return origin + path;
}

export function invalidProof(reason: string): OAuthError {
  return new OAuthError('invalid_dpop_proof', `The DPoP proof is invalid: ${reason}`, { reason });
}
