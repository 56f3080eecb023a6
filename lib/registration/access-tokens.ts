import { createAuthenticator, canonicalBytes, deriveKeys, type Secrets } from '../tokens/keys';

/** The tokens by which clients manage their registration (RFC 7592 §1.2). They are computed from the client's id and never stored. */
export interface RegistrationAccessTokens {
  of(clientId: string): string;
  isValid(token: string, clientId: string): boolean;
}

export function createRegistrationAccessTokens(secrets: Secrets, issuer: string): RegistrationAccessTokens {
  const authenticator = createAuthenticator(deriveKeys(secrets, 'registration access token', issuer));
  return {
    of: (clientId) => authenticator.sign(Buffer.from(clientId)).toString('base64url'),
    isValid: (token, clientId) => {
      const mac = canonicalBytes(token);
      return mac !== undefined && authenticator.verify(Buffer.from(clientId), mac);
    },
  };
}
