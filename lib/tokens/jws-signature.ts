import { constants, createHmac, sign, type KeyObject, type SignKeyObjectInput } from 'node:crypto';

import { derToJose } from 'ecdsa-sig-formatter';

/** Signs the signing input of a JWS (RFC 7515 §5.1). Returns the encoded signature. */
export type SignJws = (input: string) => string;

/**
 * Creates the signer of a key for one algorithm (RFC 7518 §3.1). Where it can, it passes the key alone: Node 24 imports the key again for
 * each signature with options, which takes longer than an ECDSA signature.
 *
 * @throws RangeError for any other algorithm
 */
export function createJwsSigner(alg: string, key: KeyObject): SignJws {
  const hash = `sha${alg.slice(2)}`;
  const signed = (input: string, by: KeyObject | SignKeyObjectInput): Buffer =>
    sign(hash, Buffer.from(input), by);
  switch (alg) {
    case 'ES256':
    case 'ES384':
    case 'ES512':
      // §3.4: the two integers side by side, and not in DER.
      return (input) => derToJose(signed(input, key), alg);
    case 'RS256':
    case 'RS384':
    case 'RS512':
      return (input) => signed(input, key).toString('base64url');
    case 'PS256':
    case 'PS384':
    case 'PS512': {
      // §3.5: the salt is as long as the hash.
      const options = {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      };
      return (input) => signed(input, options).toString('base64url');
    }
    case 'HS256':
      return (input) => createHmac(hash, key).update(input).digest('base64url');
    default:
      throw new RangeError(`there is no signature for ${alg}`);
  }
}
