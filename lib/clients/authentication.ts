import type { Request } from 'express';

import type { ClientAuthenticationMethodName } from '../adapters/contract';
import { invalidClient, invalidRequest, type OAuthError } from '../errors';
import type { EventReporter } from '../event-reporter';
import { networkOfSender, type NetworkOfSender } from '../http/network';
import type { Parameters } from '../http/parameters';
import { createAssertionMethod, type ClientAssertionOptions } from './assertion';
import type { ClientAuthenticationMethod, PresentedCredentials } from './authentication-method';
import { certificateFault, type CertificateReader } from './certificate';
import { claimedClientId, withPreviousSecrets, type Client, type ClientRecord } from './client';
import { createClientSecretBasic, createClientSecretPost } from './client-secret';
import { invalidPublishableKey, publishableKeyFault, type ClientIdentification } from './identification';
import type { ClientLookup } from './metadata-documents';
import type { ClientRegistry } from './registry';
import type { VerifySecret } from './secret-verifier';

/** Authenticates the client of a request (RFC 6749 §2.3). */
export interface ClientAuthentication {
  /**
   * Finds, without I/O, the client that a request claims to come from. The result's `authenticate` looks it up and checks its
   * credentials: call it together with other reads, in one round trip.
   *
   * @throws OAuthError `invalid_request` for two methods at once, `invalid_client` for none
   */
  identify(
    req: Request,
    parameters: Parameters,
    options?: Omit<ClientLookup, 'source'>,
  ): { readonly clientIds: readonly string[]; authenticate(): Promise<Client> };
  readonly methods: readonly ClientAuthenticationMethodName[];
}

export interface ClientAuthenticationOptions extends ClientAssertionOptions {
  identification: ClientIdentification;
  registry: ClientRegistry;
  verifySecret: VerifySecret;
  certificateOf: CertificateReader;
  /** Whether the host provides client certificates. */
  hasCertificates: boolean;
  reporter: EventReporter;
}

const CERTIFICATE_METHODS: readonly ClientAuthenticationMethodName[] = [
  'tls_client_auth',
  'self_signed_tls_client_auth',
];

export function createClientAuthentication(options: ClientAuthenticationOptions): ClientAuthentication {
  const { registry, identification, verifySecret, hasCertificates, clock, reporter } = options;
  const credentialMethods: readonly ClientAuthenticationMethod[] = [
    createClientSecretBasic(verifySecret),
    createClientSecretPost(identification, verifySecret),
    createAssertionMethod(options),
  ];
  const withoutCredentials = createCertificateOrNone(options);

  function identify(
    req: Request,
    parameters: Parameters,
    lookup: Omit<ClientLookup, 'source'> = { mayFetch: true },
  ): ReturnType<ClientAuthentication['identify']> {
    const presented = credentialMethods.flatMap((method) => method(req, parameters) ?? []);
    if (presented.length > 1) throw invalidRequest('The client must use only one authentication method');
    const credentials = presented[0] ?? withoutCredentials(req, parameters);
    if (!credentials) throw refusal({ reason: 'no client authentication' });
    const named = identification.clientId(req, parameters);
    if (named !== undefined && !credentials.clientIds.includes(named)) {
      throw invalidRequest('client_id differs from the client that authenticates');
    }

    return {
      clientIds: credentials.clientIds,
      authenticate: async () => {
        const { client } = await authenticatedRecord(credentials, {
          ...lookup,
          source: networkOfSender(req),
        });
        checkPublishableKeys(req, parameters, client);
        return client;
      },
    };
  }

  async function authenticatedRecord(
    credentials: PresentedCredentials,
    lookup: ClientLookup & { readonly source: NetworkOfSender },
  ): Promise<ClientRecord> {
    const { clientIds, methods, challenge } = credentials;
    const known = await firstKnown(registry, clientIds, lookup);
    if (!known)
      throw refusal({
        reason: 'unknown client',
        clientId: claimedClientId(clientIds[0]),
        method: methods[0],
        challenge,
      });
    const record = withPreviousSecrets(known, clock());
    const { clientId, tokenEndpointAuthMethod: registered } = record.client;
    if (!methods.some((method) => record.methods.includes(method)))
      throw await wrongMethod(credentials, record, lookup.source);
    const fault = await credentials.fault(record, lookup.source);
    if (fault !== undefined) throw refusal({ reason: fault, clientId, method: registered, challenge });
    return record;
  }

  /** Names the registered method to a client that has proven its identity by another one: nobody else learns it. */
  async function wrongMethod(
    { methods, challenge, fault }: PresentedCredentials,
    record: ClientRecord,
    source: NetworkOfSender,
  ): Promise<OAuthError> {
    const { clientId, tokenEndpointAuthMethod: registered } = record.client;
    const [method] = methods;
    const isProven =
      method !== 'none' && record.client.confidential && (await fault(record, source)) === undefined;
    const description = isProven
      ? `The client is registered for ${registered}, and authenticated by ${method ?? ''}`
      : undefined;
    return refusal({ reason: `registered for ${registered}`, clientId, method, challenge, description });
  }

  function checkPublishableKeys(req: Request, parameters: Parameters, client: Client): void {
    const inBody = client.confidential ? undefined : parameters.get('client_secret');
    const fault = publishableKeyFault(client, identification.publishableKeys(req, inBody));
    if (fault === undefined) return;
    const { clientId, tokenEndpointAuthMethod: method } = client;
    reporter.emit('client_authentication.failed', { clientId, method, reason: fault });
    throw invalidPublishableKey(fault);
  }

  function refusal(given: Refusal): OAuthError {
    const { reason, clientId, method, challenge, description = 'Client authentication failed' } = given;
    reporter.emit('client_authentication.failed', { clientId, method, reason });
    return invalidClient(description, { reason, ...(challenge && { challenge }) });
  }

  const methods: ClientAuthenticationMethodName[] = [
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'private_key_jwt',
    ...(hasCertificates ? CERTIFICATE_METHODS : []),
    'none',
  ];
  return { identify, methods };
}

/** Finds the first of several client ids that exists. */
async function firstKnown(
  registry: ClientRegistry,
  clientIds: readonly string[],
  lookup: ClientLookup,
): Promise<ClientRecord | undefined> {
  for (const clientId of clientIds) {
    const record = await registry.find(clientId, lookup);
    if (record) return record;
  }
  return undefined;
}

interface Refusal {
  readonly reason: string;
  readonly clientId?: string | undefined;
  readonly method?: string | undefined;
  readonly challenge?: string | undefined;
  /** What the client learns. */
  readonly description?: string | undefined;
}

/**
 * Creates the method for requests without credentials. A public client sends its id and proves nothing (RFC 6749 §2.1); a client
 * with a certificate has proven its identity in the TLS handshake.
 */
function createCertificateOrNone(options: ClientAuthenticationOptions): ClientAuthenticationMethod {
  const { identification, certificateOf, keySetOf } = options;
  return (req, parameters) => {
    const clientId = identification.clientId(req, parameters);
    if (clientId === undefined) return undefined;
    const certificate = certificateOf(req);
    return {
      methods: ['none', ...(certificate ? CERTIFICATE_METHODS : [])],
      clientIds: [clientId],
      fault: async (record) =>
        certificate && record.client.tokenEndpointAuthMethod !== 'none'
          ? certificateFault(certificate, record, keySetOf)
          : undefined,
    };
  };
}
