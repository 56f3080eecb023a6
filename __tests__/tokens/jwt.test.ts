import { createSecretKey, generateKeyPairSync, verify } from 'node:crypto';

import * as jose from 'jose';

import { SIGNING_ALGORITHMS, type SigningAlgorithm } from '../../lib/tokens/algorithms';
import { signJwt } from '../../lib/tokens/jwt';
import { parseSigningKey } from '../../lib/tokens/signing-key';

const CURVES: Partial<Record<SigningAlgorithm, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

describe('signJwt (RFC 7515 §5.1)', () => {
  it.each(SIGNING_ALGORITHMS)('%s is verified by jose', async (alg) => {
    const namedCurve = CURVES[alg];
    const key = namedCurve ? generateKeyPairSync('ec', { namedCurve }).privateKey : rsa;
    const signer = parseSigningKey({ key, alg });
    for (const typ of ['at+jwt', 'JWT', 'at+jwt']) {
      const token = signJwt({ sub: 'ü', iat: 1, missing: undefined }, signer, typ);
      const { payload, protectedHeader } = await jose.jwtVerify(token, signer.verificationKey, {
        algorithms: [alg],
      });
      expect(protectedHeader).toEqual({ alg, typ, kid: signer.kid });
      expect(payload).toEqual({ sub: 'ü', iat: 1 });
    }
  });

  it.each([
    ['ES256', 'P-256', 64],
    ['ES384', 'P-384', 96],
    ['ES512', 'P-521', 132],
  ] as const)(
    '%s: both integers have their full length, however small they are',
    (alg, namedCurve, length) => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
      const signer = parseSigningKey({ key: privateKey, alg });
      const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
      // One integer in 256 is a byte shorter.
      for (let round = 0; round < 1000; round++) {
        const token = signJwt({ round }, signer, 'JWT');
        const end = token.lastIndexOf('.');
        const signature = Buffer.from(token.slice(end + 1), 'base64url');
        expect(signature).toHaveLength(length);
        expect(verify(`sha${alg.slice(2)}`, Buffer.from(token.slice(0, end)), key, signature)).toBe(true);
      }
    },
  );

  it('HS256 is verified by jose, and no other algorithm of a secret exists', async () => {
    const key = createSecretKey(Buffer.from('a secret of at least thirty-two bytes'));
    const token = signJwt({ sub: 'a' }, { alg: 'HS256', kid: 'x', privateKey: key }, 'at+jwt');
    expect((await jose.jwtVerify(token, key)).payload).toEqual({ sub: 'a' });
    expect(() => signJwt({}, { alg: 'HS512', kid: 'x', privateKey: key }, 'at+jwt')).toThrow(RangeError);
    expect(() => signJwt({}, { alg: 'none', kid: 'x', privateKey: key }, 'at+jwt')).toThrow(RangeError);
  });

  it.each(['exp', 'iat', 'nbf'])('%s that is no number is refused', (name) => {
    const signer = parseSigningKey({ key: rsa, alg: 'RS256' });
    for (const value of ['2026', null, NaN, {}]) {
      expect(() => signJwt({ [name]: value }, signer, 'JWT')).toThrow(TypeError);
    }
  });
});
