import { createHmac, createPrivateKey, createPublicKey, createSecretKey, KeyObject } from 'node:crypto';

import {
  algorithmsOf,
  SHARED_ALGORITHM,
  SIGNING_ALGORITHMS,
  thumbprint,
  type AccessTokenAlgorithm,
  type SigningAlgorithm,
} from './algorithms';
import { canonicalBytes } from './keys';
import { decodeJwt, hasSignature, isType } from './jwt';

/** A private JSON Web Key with its `alg` (RFC 7517 §4, RFC 7518 §6). */
export interface SigningJwk {
  kty?: string;
  alg?: string;
  kid?: string;
  use?: string;
  crv?: string;
  x?: string;
  y?: string;
  n?: string;
  e?: string;
  d?: string;
  p?: string;
  q?: string;
  dp?: string;
  dq?: string;
  qi?: string;
  /** Of a shared secret. */
  k?: string;
}

/**
 * A private key: PEM (PKCS #8, SEC 1 or PKCS #1), a JWK, a JWK as JSON or as JSON in base64url, a `KeyObject`, or one of these with its algorithm
 * and key id beside it. An RSA key, and any JWK, must say its `alg`; other keys have just one.
 *
 * `{ alg: 'HS256', key }`, with a secret of at least 32 bytes, is for access tokens alone, of resource servers that share it.
 */
export type SigningKeyInput =
  | string
  | KeyObject
  | SigningJwk
  | { key: string | KeyObject | SigningJwk; alg?: AccessTokenAlgorithm; kid?: string };

export interface SigningKey {
  readonly kid: string;
  readonly alg: AccessTokenAlgorithm;
  /** A private key, or a secret. */
  readonly privateKey: KeyObject;
  /** The public half, or the secret. */
  readonly verificationKey: KeyObject;
  /** The public half as `/jwks` shows it; a secret has none. */
  readonly publicJwk: Readonly<Record<string, unknown>> | undefined;
}

/** @throws Error with a sentence on what is wrong with the key, and nothing of the key */
export function signingKey(input: SigningKeyInput): SigningKey {
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

/** RFC 7518 §3.2: a key of HS256 has 256 bits or more. */
function sharedKey(key: string | KeyObject | SigningJwk, kid: string | undefined): SigningKey {
  const secret = secretOf(key);
  if ((secret.symmetricKeySize ?? 0) < 32) throw new Error('is weak: a key of HS256 has at least 32 bytes');
  // A thumbprint would be a hash of the secret.
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
    // Somebody's key of another kind, perhaps the public one.
    if (/^\s*(-----BEGIN|\{)/.test(key))
      throw new Error('is not a secret: give the text of it, or a JWK as an object');
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
  // A secret is what it is, whatever it looks like.
  if (typeof key !== 'string' || ('alg' in wrapped && wrapped.alg === SHARED_ALGORITHM)) return wrapped;
  // As `init` prints it: the JSON in base64url, which begins with {" and needs no quotes in an environment file.
  const json = key.startsWith('eyJ') ? Buffer.from(key, 'base64url').toString() : key;
  if (!json.trimStart().startsWith('{')) return wrapped;
  try {
    return { ...wrapped, key: JSON.parse(json) as SigningJwk };
  } catch {
    throw new Error('is not valid JSON');
  }
}

function privateKeyOf(key: string | KeyObject | SigningJwk): KeyObject {
  if (key instanceof KeyObject) return key;
  try {
    // Environment files keep a PEM on one line, with \n in it.
    if (typeof key === 'string') return createPrivateKey(key.replaceAll('\\n', '\n'));
    return createPrivateKey({ key: { ...key }, format: 'jwk' });
  } catch {
    throw new Error('is no private key in PEM or JWK form');
  }
}

function algorithmOf(key: KeyObject, given: string | undefined): SigningAlgorithm {
  const isRsa = key.asymmetricKeyType === 'rsa';
  if (isRsa && !given) throw new Error("is an RSA key without alg: give { key, alg: 'RS256' }");
  const possible = algorithmsOf(key);
  const alg = given ?? possible[0];
  const known = SIGNING_ALGORITHMS.find((algorithm) => algorithm === alg);
  if (!known) throw new Error(`has the algorithm ${alg ?? 'of an unknown curve'}, which cannot sign tokens`);
  if (isRsa && possible.length === 0) throw new Error('is an RSA key of less than 2048 bits');
  if (!possible.includes(known))
    throw new Error(`is ${isRsa ? 'an RSA' : 'a'} key, which cannot sign ${known}`);
  return known;
}

/** The keys of this server. The first of an algorithm signs, all verify. */
export interface SigningKeys {
  readonly all: readonly SigningKey[];
  /** The first key, or the first that signs by one of the algorithms. @throws Error if there is none */
  signer(algorithms?: readonly string[]): SigningKey;
  /** The algorithms by which anybody can verify: all but that of shared secrets. */
  readonly algorithms: readonly SigningAlgorithm[];
  /**
   * The claims of a JWT of this `typ` that was signed here, whatever its times are. The key is chosen among ours by `kid`,
   * and its own algorithm is the only one (RFC 8725 §3.1). A shared secret counts only for claims that `sharedMaySign`.
   */
  read(
    token: string,
    typ: string,
    sharedMaySign?: (claims: Readonly<Record<string, unknown>>) => boolean,
  ): Readonly<Record<string, unknown>> | undefined;
}

export function signingKeyRing(all: readonly SigningKey[]): SigningKeys {
  function signer(algorithms?: readonly string[]): SigningKey {
    const key = all.find(({ alg }) => !algorithms || algorithms.includes(alg));
    if (!key) throw new Error(`no signing key for ${algorithms?.join(', ') ?? 'anything'}`);
    return key;
  }

  function read(
    token: string,
    typ: string,
    sharedMaySign: (claims: Readonly<Record<string, unknown>>) => boolean = () => false,
  ): Readonly<Record<string, unknown>> | undefined {
    const jwt = decodeJwt(token);
    const key = all.find(({ kid }) => kid === jwt?.header.kid);
    if (!key || jwt?.header.alg !== key.alg || !isType(jwt.header.typ, typ)) return undefined;
    if (key.alg === SHARED_ALGORITHM && !sharedMaySign(jwt.claims)) return undefined;
    return hasSignature(token, key.verificationKey, key.alg) ? jwt.claims : undefined;
  }

  const algorithms = [...new Set(all.flatMap(({ alg }) => (alg === SHARED_ALGORITHM ? [] : alg)))];
  return { all, signer, read, algorithms };
}
