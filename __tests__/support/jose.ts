/** Keys, and the objects that clients sign with them: client assertions, DPoP proofs and request objects, made by jose. */
import { createHash, randomUUID } from 'node:crypto';

import * as jose from 'jose';
import { keyPair } from './keys';

export interface ClientKey {
  alg: string;
  kid: string;
  privateKey: jose.CryptoKey;
  publicKey: jose.CryptoKey;
  publicJwk: jose.JWK;
  privateJwk: jose.JWK;
  thumbprint: string;
}

/** Generates a key pair for jose; see {@link keyPair} for why jose does not generate it. */
export async function joseKeyPair(
  alg: string,
): Promise<{ privateKey: jose.CryptoKey; publicKey: jose.CryptoKey }> {
  const pair = keyPair(alg);
  const [privateKey, publicKey] = await Promise.all(
    [pair.privateKey, pair.publicKey].map((key) =>
      jose.importJWK(key.export({ format: 'jwk' }) as jose.JWK, alg, { extractable: true }),
    ),
  );
  return { privateKey: privateKey as jose.CryptoKey, publicKey: publicKey as jose.CryptoKey };
}

export async function clientKey(alg = 'ES256'): Promise<ClientKey> {
  const { privateKey, publicKey } = await joseKeyPair(alg);
  const thumbprint = await jose.calculateJwkThumbprint(await jose.exportJWK(publicKey));
  const publicJwk = { ...(await jose.exportJWK(publicKey)), kid: thumbprint, alg, use: 'sig' };
  return {
    alg,
    kid: thumbprint,
    privateKey,
    publicKey,
    publicJwk,
    privateJwk: await jose.exportJWK(privateKey),
    thumbprint,
  };
}

export type Claims = Record<string, unknown>;

/** Signs claims without changes. A claim that is `undefined` is left out. */
export function signed(
  key: Pick<ClientKey, 'alg' | 'privateKey' | 'kid'>,
  claims: Claims,
  header: Claims = {},
): Promise<string> {
  return new jose.SignJWT(claims)
    .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
    .sign(key.privateKey);
}

export const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Creates a client assertion (RFC 7523 §3). `now` is epoch milliseconds. */
export function assertion(
  key: Pick<ClientKey, 'alg' | 'privateKey' | 'kid'>,
  { clientId, issuer, now }: { clientId: string; issuer: string; now: number },
  more: Claims = {},
  header: Claims = {},
): Promise<string> {
  const iat = Math.floor(now / 1000);
  const claims = { iss: clientId, sub: clientId, aud: issuer, iat, exp: iat + 60, jti: randomUUID() };
  return signed(key, { ...claims, ...more }, header);
}

/** Creates a DPoP proof (RFC 9449 §4.2). `now` is epoch milliseconds. */
export function dpopProof(
  key: ClientKey,
  request: { method?: string; url: string; now: number; accessToken?: string; nonce?: string | undefined },
  more: Claims = {},
  header: Claims = {},
): Promise<string> {
  const { method = 'POST', url, now, accessToken, nonce } = request;
  const ath = accessToken && createHash('sha256').update(accessToken).digest('base64url');
  const { kid: _, ...jwk } = key.publicJwk;
  const claims = { jti: randomUUID(), htm: method, htu: url, iat: Math.floor(now / 1000), ath, nonce };
  return new jose.SignJWT({ ...claims, ...more })
    .setProtectedHeader({ alg: key.alg, typ: 'dpop+jwt', jwk, ...header })
    .sign(key.privateKey);
}

/** Creates a request object (RFC 9101 §4). `now` is epoch milliseconds. */
export function requestObject(
  key: Pick<ClientKey, 'alg' | 'privateKey' | 'kid'>,
  { clientId, issuer, now }: { clientId: string; issuer: string; now: number },
  parameters: Claims,
  header: Claims = {},
): Promise<string> {
  const nbf = Math.floor(now / 1000);
  const claims = { iss: clientId, aud: issuer, client_id: clientId, nbf, exp: nbf + 300, ...parameters };
  return signed(key, claims, { typ: 'oauth-authz-req+jwt', ...header });
}
