import type { Client } from '../clients/client';
import type { Confirmation } from '../tokens/access-token';

/**
 * Returns the key that a grant's refresh tokens are bound to: that of a public client (RFC 9449 §5, RFC 8705 §4). The refresh tokens of
 * a confidential client are bound to the client, which authenticates: it may change its key, and renew its certificate.
 */
export function boundTo(client: Client, confirmation: Confirmation | undefined): Confirmation | undefined {
  return client.confidential ? undefined : confirmation;
}

/** Whether a request has proven the key and certificate that a token is bound to. */
export function isBoundTo(bound: Confirmation | undefined, proven: Confirmation | undefined): boolean {
  return (
    (bound?.jkt === undefined || bound.jkt === proven?.jkt) &&
    (bound?.['x5t#S256'] === undefined || bound['x5t#S256'] === proven?.['x5t#S256'])
  );
}
