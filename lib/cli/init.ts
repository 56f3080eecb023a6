import { randomBytes, type KeyObject } from 'node:crypto';

import { generatePrivateKey } from '../tokens/generated-key';

export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** Creates a key as base64url of its JWK: it needs no quotes, which shells, Docker and dotenv treat differently. */
export function newSigningKey(alg: 'ES256' | 'RS256'): string {
  const key: KeyObject = generatePrivateKey(alg);
  const jwk = { ...key.export({ format: 'jwk' }), alg, use: 'sig' };
  return Buffer.from(JSON.stringify(jwk)).toString('base64url');
}

/** `init`: lines for an environment file. */
export function init(): string {
  const lines = [
    `OAUTH_SECRET=${newSecret()}`,
    `OAUTH_SIGNING_KEY=${newSigningKey('ES256')}`,
    `OAUTH_RSA_KEY=${newSigningKey('RS256')}`,
  ];
  return `${lines.join('\n')}\n`;
}
