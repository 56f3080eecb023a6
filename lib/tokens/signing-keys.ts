import { createHash, createPrivateKey, createPublicKey, KeyObject, type JsonWebKey } from 'node:crypto';

/** The algorithms that sign access tokens (RFC 7518 §3.1). */
const SIGNING_ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** A private JSON Web Key with its `alg` (RFC 7517 §4). */
export type SigningJwk = JsonWebKey & { alg?: string; kid?: string };

/**
 * A private key: PEM (PKCS #8, SEC 1 or PKCS #1), a JWK, a JWK as JSON or as JSON in base64url, a `KeyObject`, or one of these with its algorithm
 * and key id beside it. An RSA key, and any JWK, must say its `alg`; other keys have just one.
 */
export type SigningKeyInput =
  | string
  | KeyObject
  | SigningJwk
  | { key: string | KeyObject | SigningJwk; alg?: SigningAlgorithm; kid?: string };

export interface SigningKey {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** The public half, as `/jwks` shows it. */
  readonly publicJwk: Readonly<Record<string, unknown>>;
}

const CURVES: Readonly<Record<string, SigningAlgorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

/** @throws Error with a sentence on what is wrong with the key, and nothing of the key */
export function signingKey(input: SigningKeyInput): SigningKey {
  const { key, alg: givenAlg, kid: givenKid } = unwrapped(input);
  const jwk = typeof key === 'object' && !(key instanceof KeyObject) ? key : undefined;
  if (jwk && !jwk.alg && !givenAlg) throw new Error('is a JWK without alg');

  const privateKey = privateKeyOf(key);
  if (privateKey.type !== 'private') throw new Error('is not a private key');
  const alg = algorithmOf(privateKey, givenAlg ?? jwk?.alg);
  const publicKey = createPublicKey(privateKey);
  const exported = publicKey.export({ format: 'jwk' });
  const kid: unknown = givenKid ?? jwk?.kid ?? thumbprint(exported);
  if (typeof kid !== 'string') throw new Error('has a kid that is not a string');
  return { kid, alg, privateKey, publicKey, publicJwk: { ...exported, kid, alg, use: 'sig' } };
}

function unwrapped(input: SigningKeyInput): {
  key: string | KeyObject | SigningJwk;
  alg?: string;
  kid?: string;
} {
  const wrapped = typeof input === 'object' && 'key' in input ? (input as { key: string }) : { key: input };
  const { key } = wrapped;
  if (typeof key !== 'string') return wrapped;
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
    return createPrivateKey({ key, format: 'jwk' });
  } catch {
    throw new Error('is no private key in PEM or JWK form');
  }
}

function algorithmOf(key: KeyObject, given: string | undefined): SigningAlgorithm {
  const details = key.asymmetricKeyDetails ?? {};
  const alg = given ?? (key.asymmetricKeyType === 'ec' ? CURVES[details.namedCurve ?? ''] : undefined);
  if (key.asymmetricKeyType === 'rsa' && !alg)
    throw new Error("is an RSA key without alg: give { key, alg: 'RS256' }");
  const known = SIGNING_ALGORITHMS.find((algorithm) => algorithm === alg);
  if (!known)
    throw new Error(`has the algorithm ${alg ?? 'of an unknown curve'}, which cannot sign access tokens`);

  if (key.asymmetricKeyType === 'rsa') {
    if (known.startsWith('ES')) throw new Error(`is an RSA key, which cannot sign ${known}`);
    // RFC 7518 §3.3
    if ((details.modulusLength ?? 0) < 2048) throw new Error('is an RSA key of less than 2048 bits');
  } else if (CURVES[details.namedCurve ?? ''] !== known) {
    throw new Error(`cannot sign ${known}`);
  }
  return known;
}

/** RFC 7638 §3.2: the required members in lexicographic order. */
function thumbprint({ crv, e, kty, n, x, y }: JsonWebKey): string {
  return createHash('sha256')
    .update(JSON.stringify(kty === 'EC' ? { crv, kty, x, y } : { e, kty, n }))
    .digest('base64url');
}
