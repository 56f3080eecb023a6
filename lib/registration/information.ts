import { toWire } from '../clients/rfc7591';
import { DEFAULT_METHOD } from '../clients/new-credentials';
import type { RegisteredClient } from './register';
import type { RegistrationAccessTokens } from './access-tokens';

/** Describes a registered client to itself: never with a `null`, and with the secret only when it is new. */
export type ClientInformation = (registered: RegisteredClient) => Readonly<Record<string, unknown>>;

/** @see RFC 7591 §3.2.1, RFC 7592 §3 */
export function createClientInformation(options: {
  registerUrl: string;
  registrationAccessTokens: RegistrationAccessTokens;
}): ClientInformation {
  const { registerUrl, registrationAccessTokens } = options;
  return ({ client, clientSecret, softwareStatement }) => {
    const { clientId, clientIdIssuedAt, clientSecretHash, clientSecretSealed } = client;
    const hasSecret = clientSecretHash !== undefined || clientSecretSealed !== undefined;
    return {
      client_id: clientId,
      ...(clientIdIssuedAt !== undefined && { client_id_issued_at: clientIdIssuedAt }),
      ...(clientSecret !== undefined && { client_secret: clientSecret }),
      // 0: it does not expire.
      ...(hasSecret && { client_secret_expires_at: 0 }),
      registration_client_uri: `${registerUrl}/${clientId}`,
      registration_access_token: registrationAccessTokens.of(clientId),
      token_endpoint_auth_method: DEFAULT_METHOD,
      ...toWire(client),
      // RFC 7591 §3.2.1: unmodified.
      ...(typeof softwareStatement === 'string' && { software_statement: softwareStatement }),
    };
  };
}
