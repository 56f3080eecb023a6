import type { Request } from 'express';

import type { ClientAuthenticationMethodName } from '../adapters/contract';
import { OAuthError } from '../errors';
import type { EventReporter } from '../events';
import type { Parameters } from '../http/parameters';
import { clientAssertion, type ClientAssertionOptions } from './assertion';
import { certificateFault, type CertificateReader } from './certificate';
import type { Client, ClientRecord } from './client';
import {
  invalidPublishableKey,
  publishableKeyFault,
  type ClientIdentification,
  type PresentedKeys,
} from './identification';
import type { ClientRegistry } from './registry';
import { verifyClientSecret } from './secrets';

/** What a request says of who its client is, by one method. */
export interface PresentedCredentials {
  /** The method; or those that look the same until the client is known. */
  readonly methods: readonly ClientAuthenticationMethodName[];
  /** Whom it claims to be; usually one, else in the order to try them. */
  readonly clientIds: readonly string[];
  /** Why the client is not who it claims to be, for the operator; `undefined` if it is. */
  fault(record: ClientRecord): Promise<string | undefined>;
}

/** A way to authenticate: what it finds in a request, or `undefined` if the request does not use it. */
export type ClientAuthenticationMethod = (
  req: Request,
  parameters: Parameters,
) => PresentedCredentials | undefined;

/** Identifies the client of a request, and looks it up. */
export interface ClientAuthentication {
  /**
   * Finds out without I/O who the client claims to be. The result's `authenticate` looks it up: call it together with
   * whatever else is to be read, in one wave.
   *
   * @throws OAuthError `invalid_request` for two methods at once, `invalid_client` for none
   */
  identify(req: Request, parameters: Parameters): { authenticate(): Promise<Client> };
  readonly methods: readonly ClientAuthenticationMethodName[];
}

export interface ClientAuthenticationOptions extends ClientAssertionOptions {
  identification: ClientIdentification;
  registry: ClientRegistry;
  /** `undefined` if the host gives no certificates. */
  certificateOf: CertificateReader | undefined;
  reporter: EventReporter;
}

const BASIC = /^basic +([a-z0-9+/_=-]*) *$/i;

/** RFC 6749 §2.3.1: form-encoded, then Basic. `curl -u` and others send it raw: that is tried second. */
const clientSecretBasic: ClientAuthenticationMethod = (req) => {
  const header = req.headers.authorization;
  if (!header || !/^basic(\s|$)/i.test(header)) return undefined;
  const text = Buffer.from(BASIC.exec(header)?.[1] ?? '', 'base64').toString();
  const colon = text.indexOf(':');
  const raw = { clientId: text.slice(0, Math.max(colon, 0)), clientSecret: text.slice(colon + 1) };
  const decoded = { clientId: formDecoded(raw.clientId), clientSecret: formDecoded(raw.clientSecret) };
  const pairs = [decoded, raw].filter(
    (pair): pair is typeof raw => pair.clientId !== undefined && pair.clientSecret !== undefined,
  );
  return {
    methods: ['client_secret_basic'],
    clientIds: [...new Set(pairs.map(({ clientId }) => clientId))],
    fault: async (record) => {
      const secrets = pairs.filter(({ clientId }) => clientId === record.client.clientId);
      return secretFault([...new Set(secrets.map(({ clientSecret }) => clientSecret))], record);
    },
  };
};

export function clientAuthentication(options: ClientAuthenticationOptions): ClientAuthentication {
  const { registry, identification, certificateOf, keySetOf, reporter } = options;

  /** That of a public client is a publishable key, which is looked at apart. */
  const clientSecretPost: ClientAuthenticationMethod = (req, parameters) => {
    const clientSecret = parameters.get('client_secret');
    if (clientSecret === undefined) return undefined;
    return {
      methods: ['client_secret_post', 'none'],
      clientIds: [identification.clientId(req, parameters) ?? ''],
      fault: async (record) => (record.client.confidential ? secretFault([clientSecret], record) : undefined),
    };
  };

  const credentialMethods: readonly ClientAuthenticationMethod[] = [
    clientSecretBasic,
    clientSecretPost,
    clientAssertion(options),
  ];

  /** A public client says who it is, and proves nothing (RFC 6749 §2.1); one with a certificate has proven it before. */
  const withoutCredentials: ClientAuthenticationMethod = (req, parameters) => {
    const clientId = identification.clientId(req, parameters);
    if (clientId === undefined) return undefined;
    const certificate = certificateOf?.(req);
    return {
      methods: ['none', ...(certificate ? CERTIFICATE_METHODS : [])],
      clientIds: [clientId],
      fault: async (record) =>
        certificate && record.client.tokenEndpointAuthMethod !== 'none'
          ? certificateFault(certificate, record, keySetOf)
          : undefined,
    };
  };

  function identify(req: Request, parameters: Parameters): { authenticate(): Promise<Client> } {
    const presented = credentialMethods.flatMap((method) => method(req, parameters) ?? []);
    if (presented.length > 1) {
      throw new OAuthError('invalid_request', 'The client must not authenticate in more than one way');
    }
    const credentials = presented[0] ?? withoutCredentials(req, parameters);
    const method = credentials?.methods[0];
    // RFC 6749 §5.2: who tried by the Authorization header is told the scheme.
    const challenge = method === 'client_secret_basic' ? 'Basic realm="OAuth"' : undefined;
    if (!credentials) throw refusal('no client authentication', undefined, undefined, challenge);
    const { clientIds, methods, fault: faultOf } = credentials;
    const named = identification.clientId(req, parameters);
    if (named !== undefined && !clientIds.includes(named)) {
      throw new OAuthError('invalid_request', 'client_id differs from the client that authenticates');
    }

    async function authenticate(): Promise<Client> {
      const record = await firstKnown(clientIds);
      const clientId = record?.client.clientId ?? clientIds[0];
      if (!record) throw refusal('unknown client', clientId, method, challenge);
      const { tokenEndpointAuthMethod: registered } = record.client;
      if (!methods.includes(registered)) {
        throw refusal(`registered for ${registered}`, clientId, method, challenge);
      }
      const fault = await faultOf(record);
      if (fault !== undefined) throw refusal(fault, clientId, registered, challenge);
      const keyFault = publishableKeyFault(record.client, keysOf(req, parameters, record.client));
      if (keyFault !== undefined) {
        reporter.emit('client_authentication.failed', { clientId, method: registered, reason: keyFault });
        throw invalidPublishableKey(keyFault);
      }
      return record.client;
    }

    return { authenticate };
  }

  function keysOf(req: Request, parameters: Parameters, client: Client): PresentedKeys {
    const inBody = client.confidential ? undefined : parameters.get('client_secret');
    return identification.publishableKeys(req, inBody);
  }

  async function firstKnown(clientIds: readonly string[]): Promise<ClientRecord | undefined> {
    for (const clientId of clientIds) {
      const record = await registry.find(clientId);
      if (record) return record;
    }
    return undefined;
  }

  function refusal(reason: string, clientId?: string, method?: string, challenge?: string): OAuthError {
    reporter.emit('client_authentication.failed', { clientId, method, reason });
    return new OAuthError('invalid_client', 'Client authentication failed', {
      reason,
      ...(challenge && { challenge }),
    });
  }

  const methods: ClientAuthenticationMethodName[] = [
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'private_key_jwt',
    ...(certificateOf ? CERTIFICATE_METHODS : []),
    'none',
  ];
  return { identify, methods };
}

const CERTIFICATE_METHODS: readonly ClientAuthenticationMethodName[] = [
  'tls_client_auth',
  'self_signed_tls_client_auth',
];

async function secretFault(
  secrets: readonly string[],
  { secretHashes }: ClientRecord,
): Promise<string | undefined> {
  for (const secret of secrets) {
    for (const hash of secretHashes) {
      if (await verifyClientSecret(secret, hash)) return undefined;
    }
  }
  return 'wrong credentials';
}

/** `undefined` if it is not application/x-www-form-urlencoded. */
function formDecoded(text: string): string | undefined {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
