import { createGuardedFetch, RefusedExchange, type OutboundOptions } from '../http/outbound';
import { isDeep, parseJsonObject } from '../json';
import { clientRecord, type ClientRecord } from './client';
import type { WireMetadata } from './rfc7591';
import type { SelfAssertedClients } from './self-asserted';

/** §6.6 of the draft advises 5 kilobytes. */
const MAXIMUM_LENGTH = 5 * 1024;
/** How long a document is used without a look at its URL: what its headers say, within these bounds. Seconds. */
const LEAST_AGE = 60;
const DEFAULT_AGE = 300;
const MOST_AGE = 3600;

/** Reads the documents that clients publish about themselves. */
export interface DocumentReader {
  /**
   * Fetches a document, and returns the client that it describes and how long that may be used, in seconds.
   * @throws RefusedExchange or an OAuthError with a status below 500 if there is no such client
   */
  read(clientId: string): Promise<{ record: ClientRecord; age: number }>;
}

/** @see draft-ietf-oauth-client-id-metadata-document §4 to §6 */
export function createDocumentReader(options: {
  clients: SelfAssertedClients;
  /** The scope values that such clients may request by name. */
  scope: readonly string[];
  outbound: Pick<OutboundOptions, 'allowPrivateAddresses' | 'allowHttp' | 'lookup'>;
  clock: () => number;
}): DocumentReader {
  const { clients, scope, outbound, clock } = options;
  const fetch = createGuardedFetch({ ...outbound, maximumLength: MAXIMUM_LENGTH });

  async function read(clientId: string): Promise<{ record: ClientRecord; age: number }> {
    const response = await fetch(clientId, { headers: { Accept: 'application/json' } });
    const { status, headers } = response;
    if (status >= 500 || status === 429) throw new Error(`the response has status ${status}`);
    if (status !== 200) throw new RefusedExchange(`the response has status ${status}`);
    if (!/^application\/([\w.+-]+\+)?json *(;|$)/i.test(headers.get('content-type') ?? ''))
      throw new RefusedExchange('the response is not JSON');
    const document = parseJsonObject(await response.text());
    if (!document || isDeep(document)) throw new RefusedExchange('the response is not a plain JSON object');
    const age = Math.min(Math.max(ageOf(headers, clock()), LEAST_AGE), MOST_AGE);
    return { record: await recordOf(clientId, document), age };
  }

  async function recordOf(clientId: string, document: WireMetadata): Promise<ClientRecord> {
    // The comparison is of the texts: otherwise one document could speak for another (§4 of the draft).
    if (document.client_id !== clientId) throw new RefusedExchange('client_id is not its URL');
    if ('client_secret' in document || 'client_secret_expires_at' in document)
      throw new RefusedExchange('it has a secret, which everybody could read');
    const methods = methodsOf(document);
    const [method] = methods;
    const read = clients.read(
      document,
      {
        clientId,
        ...((document.client_name ?? '') === '' && { clientName: new URL(clientId).host }),
        // A client that may do without its keys proves nothing.
        tokenEndpointAuthMethod: methods.includes('none') ? 'none' : method,
        selfAsserted: true,
      },
      'metadata_document',
    );
    const client = await clients.approve(read, {
      source: 'metadata_document',
      hasInitialAccessToken: false,
      softwareStatement: undefined,
    });
    return { ...clientRecord({ optionalScope: scope.join(' '), ...client }), methods };
  }

  return { read };
}

type Method = 'none' | 'private_key_jwt';
const METHODS: readonly Method[] = ['private_key_jwt', 'none'];

/**
 * Returns the methods by which a client may authenticate: a document is for many servers, and may offer several. One that names none is
 * of a public client.
 */
function methodsOf(document: WireMetadata): readonly [Method, ...Method[]] {
  const { token_endpoint_auth_method: preferred, token_endpoint_auth_methods_supported: supported } =
    document;
  const offered: unknown[] = [preferred ?? [], supported ?? []].flat();
  const [method, ...others] = METHODS.filter((name) => offered.includes(name));
  if (offered.length === 0) return ['none'];
  if (method === undefined)
    throw new RefusedExchange('its token_endpoint_auth_method is neither none nor private_key_jwt');
  return [method, ...others];
}

/** Returns how long a response may be kept, in seconds (RFC 9111 §4.2.1). */
function ageOf(headers: Headers, now: number): number {
  const control = headers.get('cache-control') ?? '';
  if (/\bno-(?:store|cache)\b/i.test(control)) return 0;
  const maximum = /(?:^|[\s,])max-age\s*=\s*"?(\d{1,10})/i.exec(control)?.[1];
  if (maximum !== undefined) return Number(maximum) - (Number(headers.get('age')) || 0);
  const expires = Date.parse(headers.get('expires') ?? '');
  return Number.isNaN(expires) ? DEFAULT_AGE : (expires - now) / 1000;
}
