import { constants, createHmac, sign, type KeyObject, type SignKeyObjectInput } from 'node:crypto';

/** Signs the signing input of a JWS (RFC 7515 §5.1). Returns the signature. */
export type SignJws = (input: string) => Buffer;

/** Creates the signer of a key for one algorithm (RFC 7518 §3.1). @throws RangeError for any other algorithm */
export function createJwsSigner(alg: string, key: KeyObject): SignJws {
  const hash = `sha${alg.slice(2)}`;
  if (alg === 'HS256') return (input) => createHmac(hash, key).update(input).digest();
  const options = optionsOf(alg, key);
  return (input) => sign(hash, Buffer.from(input), options);
}

function optionsOf(alg: string, key: KeyObject): SignKeyObjectInput {
  switch (alg.slice(0, 2)) {
    case 'ES':
      // §3.4: the two integers side by side, and not in DER.
      return { key, dsaEncoding: 'ieee-p1363' };
    case 'RS':
      return { key, padding: constants.RSA_PKCS1_PADDING };
    case 'PS':
      // §3.5: the salt is as long as the hash.
      return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
    default:
      throw new RangeError(`there is no signature for ${alg}`);
  }
}
