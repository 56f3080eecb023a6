import { createHmac, createPrivateKey, createPublicKey, createSecretKey, KeyObject } from 'node:crypto';

import { parseJsonObject } from '../json';
import {
  algorithmsOf,
  SHARED_ALGORITHM,
  SIGNING_ALGORITHMS,
  thumbprint,
  type AccessTokenAlgorithm,
  type SigningAlgorithm,
} from './algorithms';
import { canonicalBytes } from './keys';

/** A private JSON Web Key with its `alg` (RFC 7517 §4, RFC 7518 §6). */
export interface SigningJwk {
  /** The key type: `'EC'`, `'RSA'`, or `'oct'` for a shared secret. */
  kty?: string;
  /** The algorithm that the key signs with. */
  alg?: string;
  /** The key id. @defaultValue the RFC 7638 thumbprint */
  kid?: string;
  /** The use of the key: `'sig'`. */
  use?: string;
  /** The curve of an EC key. */
  crv?: string;
  /** The x coordinate of an EC key. */
  x?: string;
  /** The y coordinate of an EC key. */
  y?: string;
  /** The modulus of an RSA key. */
  n?: string;
  /** The public exponent of an RSA key. */
  e?: string;
  /** The private part of an EC or RSA key. */
  d?: string;
  /** The first prime of an RSA key. */
  p?: string;
  /** The second prime of an RSA key. */
  q?: string;
  /** The first CRT exponent of an RSA key. */
  dp?: string;
  /** The second CRT exponent of an RSA key. */
  dq?: string;
  /** The CRT coefficient of an RSA key. */
  qi?: string;
  /** The bytes of a shared secret. */
  k?: string;
}

/**
 * A private key: PEM (PKCS #8, SEC 1 or PKCS #1), a JWK, a JWK as JSON or as JSON in base64url, a `KeyObject`, or an object with
 * one of these as `key` and its `alg` and `kid`. An RSA key and any JWK need an `alg`; any other key supports only one algorithm.
 *
 * `{ alg: 'HS256', key }`, with a secret of at least 32 bytes, signs access tokens only, for resource servers that share it.
 */
export type SigningKeyInput = string | KeyObject | SigningJwk | WrappedSigningKey;

/** A key with its algorithm and key id beside it. */
export interface WrappedSigningKey {
  /** The key. */
  key: string | KeyObject | SigningJwk;
  /** The algorithm. @defaultValue the only one that the key supports */
  alg?: AccessTokenAlgorithm;
  /** The key id. @defaultValue the RFC 7638 thumbprint */
  kid?: string;
}

export interface SigningKey {
  readonly kid: string;
  readonly alg: AccessTokenAlgorithm;
  /** A private key, or a secret. */
  readonly privateKey: KeyObject;
  /** The public half, or the secret. */
  readonly verificationKey: KeyObject;
  /** The public half as `/jwks` publishes it; a secret has none. */
  readonly publicJwk: Readonly<Record<string, unknown>> | undefined;
}

/** Reads a signing key. @throws Error with a message that names the fault and never contains the key */
export function parseSigningKey(input: SigningKeyInput): SigningKey {
  const { key, alg: givenAlg, kid: givenKid } = unwrapped(input);
  if ((key as unknown) === undefined || (key as unknown) === null) throw new Error('is not set');
  const jwk = typeof key === 'object' && !(key instanceof KeyObject) ? key : undefined;
  if (jwk && !jwk.alg && !givenAlg) throw new Error('is a JWK without alg');
  const kid: unknown = givenKid ?? jwk?.kid;
  if (kid !== undefined && typeof kid !== 'string') throw new Error('has a kid that is not a string');
  if ((givenAlg ?? jwk?.alg) === SHARED_ALGORITHM) return sharedKey(key, kid);

  const privateKey = privateKeyOf(key);
  if (privateKey.type !== 'private') throw new Error('is not a private key');
  const alg = algorithmOf(privateKey, givenAlg ?? jwk?.alg);
  const publicKey = createPublicKey(privateKey);
  const exported = publicKey.export({ format: 'jwk' });
  const id = kid ?? thumbprint(publicKey);
  const publicJwk = { ...exported, kid: id, alg, use: 'sig' };
  return { kid: id, alg, privateKey, verificationKey: publicKey, publicJwk };
}

/** Reads a shared secret: a key for HS256 has at least 256 bits (RFC 7518 §3.2). */
function sharedKey(key: string | KeyObject | SigningJwk, kid: string | undefined): SigningKey {
  const secret = secretOf(key);
  if ((secret.symmetricKeySize ?? 0) < 32)
    throw new Error('is weak: a key for HS256 must have at least 32 bytes');
  // Not a thumbprint, which would be a hash of the secret.
  const id = kid ?? createHmac('sha256', secret).update('kid').digest('base64url');
  return {
    kid: id,
    alg: SHARED_ALGORITHM,
    privateKey: secret,
    verificationKey: secret,
    publicJwk: undefined,
  };
}

function secretOf(key: string | KeyObject | SigningJwk): KeyObject {
  if (typeof key === 'string') {
    // This is a key of another kind, possibly a public key, that was passed by mistake.
    if (/^\s*(-----BEGIN|\{)/.test(key))
      throw new Error('is not a secret: give its text, or a JWK as an object');
    return createSecretKey(Buffer.from(key));
  }
  if (key instanceof KeyObject) {
    if (key.type !== 'secret') throw new Error('is not a secret key, which HS256 needs');
    return key;
  }
  if (key.kty !== 'oct' || typeof key.k !== 'string')
    throw new Error('is not a secret key, which HS256 needs');
  const bytes = canonicalBytes(key.k);
  if (!bytes) throw new Error('has a k that is not base64url');
  return createSecretKey(bytes);
}

function unwrapped(input: SigningKeyInput): {
  key: string | KeyObject | SigningJwk;
  alg?: string;
  kid?: string;
} {
  const wrapped = typeof input === 'object' && 'key' in input ? (input as { key: string }) : { key: input };
  const { key } = wrapped;
  // The text of a shared secret is never parsed.
  if (typeof key !== 'string' || ('alg' in wrapped && wrapped.alg === SHARED_ALGORITHM)) return wrapped;
  // `init` prints base64url of JSON, which begins with {" and needs no quotes in an environment file.
  const json = key.startsWith('eyJ') ? Buffer.from(key, 'base64url').toString() : key;
  if (!json.trimStart().startsWith('{')) return wrapped;
  const jwk = parseJsonObject(json);
  if (!jwk) throw new Error('is not valid JSON');
  return { ...wrapped, key: jwk };
}

function privateKeyOf(key: string | KeyObject | SigningJwk): KeyObject {
  if (key instanceof KeyObject) return key;
  try {
    // Environment files keep a PEM on one line, with \n in it.
    if (typeof key === 'string') return createPrivateKey(key.replaceAll('\\n', '\n'));
    return createPrivateKey({ key: { ...key }, format: 'jwk' });
  } catch {
    throw new Error('is not a private key in PEM or JWK form');
  }
}

function algorithmOf(key: KeyObject, given: string | undefined): SigningAlgorithm {
  const isRsa = key.asymmetricKeyType === 'rsa';
  if (isRsa && !given) throw new Error("is an RSA key without alg: give { key, alg: 'RS256' }");
  const possible = algorithmsOf(key);
  const alg = given ?? possible[0];
  const known = SIGNING_ALGORITHMS.find((algorithm) => algorithm === alg);
  if (!known) throw new Error(`has the algorithm ${alg ?? 'of an unknown curve'}, which cannot sign tokens`);
  if (isRsa && possible.length === 0) throw new Error('is an RSA key that does not have 2048 to 8192 bits');
  if (!possible.includes(known))
    throw new Error(`is ${isRsa ? 'an RSA' : 'a'} key that cannot sign with ${known}`);
  return known;
}
