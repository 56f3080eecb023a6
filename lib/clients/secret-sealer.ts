import { randomBytes } from 'node:crypto';

import { createSealer, deriveKeys, type Sealer, type Secrets } from '../tokens/keys';

/** Seals the secrets of the options, which stay in this process: they must outlive a replacement of the server's secrets. */
const PROCESS_KEY = randomBytes(32);

/** Seals secrets of clients in the options. */
export const optionSecretSealer: Sealer = createSealer(() => [PROCESS_KEY]);

/** Creates the sealer for secrets of `client_secret_jwt` clients: an HMAC can only be checked with the secret itself. */
export function createClientSecretSealer(secrets: Secrets, issuer: string): Sealer {
  const stored = createSealer(deriveKeys(secrets, 'client secret', issuer));
  return {
    seal: (secret) => stored.seal(secret),
    open: (sealed) => stored.open(sealed) ?? optionSecretSealer.open(sealed),
  };
}
