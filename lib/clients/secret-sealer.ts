import { createSealer, deriveKeys, type Sealer } from '../tokens/keys';

/** Creates the sealer for secrets of `client_secret_jwt` clients: an HMAC can only be checked with the secret itself. */
export function createClientSecretSealer(secrets: readonly string[], issuer: string): Sealer {
  return createSealer(deriveKeys(secrets, 'client secret', issuer));
}
