import { LRUCache } from 'lru-cache';

import { asOAuthError, temporarilyUnavailable } from '../errors';
import type { EventReporter } from '../event-reporter';
import { callHost, type Awaitable } from '../host/call';
import { createFairQueue } from '../http/fair-queue';
import { createGuardedFetch, RefusedExchange, type OutboundOptions } from '../http/outbound';
import { parseJsonObject } from '../json';
import { clientRecord, type ClientRecord } from './client';
import { documentUrlFault } from './document-url';
import type { AcceptClient, WireMetadata } from './self-asserted';

/** Clients whose id is the URL of a document about them. */
export interface MetadataDocuments {
  /**
   * Returns the client of a URL, or `undefined` if it is none. Without `mayFetch`, only a document that is in the cache is used.
   * @throws OAuthError `temporarily_unavailable` if the document cannot be fetched
   */
  find(clientId: string, options: { mayFetch: boolean }): Promise<ClientRecord | undefined>;
}

/** Whether a client's URL is trusted. It is asked before the document is fetched. */
export type AllowDocument = (url: URL) => Awaitable<boolean>;

/** §6.6 of the draft advises 5 kilobytes. */
const MAXIMUM_LENGTH = 5 * 1024;
const CACHED_DOCUMENTS = 1000;
/** How long a document is used without a look at its URL: what its headers say, within these bounds. Seconds. */
const LEAST_AGE = 60;
const DEFAULT_AGE = 300;
const MOST_AGE = 3600;
/** How long a document is used if its server does not answer: its users must not be signed out by that. Seconds. */
const STALE_AGE = 86_400;
/** Of all requests together, and of those to one origin. */
const FETCHES = { concurrent: 10, concurrentOfSubject: 2, maximumLength: 200, maximumLengthOfSubject: 20 };

interface Cached {
  readonly record: ClientRecord;
  /** Epoch milliseconds. */
  readonly freshUntil: number;
  readonly usableUntil: number;
}

/** @see draft-ietf-oauth-client-id-metadata-document §4 to §6 */
export function createMetadataDocuments(options: {
  accept: AcceptClient;
  /** The scope values that such clients may request by name. */
  scope: readonly string[];
  allow: AllowDocument | undefined;
  allowHttp: boolean;
  outbound: Pick<OutboundOptions, 'allowPrivateAddresses' | 'allowHttp' | 'lookup'>;
  clock: () => number;
  reporter: EventReporter;
}): MetadataDocuments {
  const { accept, scope, allow, allowHttp, outbound, clock, reporter } = options;
  const fetch = createGuardedFetch({ ...outbound, maximumLength: MAXIMUM_LENGTH });
  const cache = new LRUCache<string, Cached>({ max: CACHED_DOCUMENTS });
  const pending = new Map<string, Promise<ClientRecord | undefined>>();
  const queue = createFairQueue({
    ...FETCHES,
    full: () => unavailable(new Error('too many are fetched at once')),
  });

  async function find(
    clientId: string,
    { mayFetch }: { mayFetch: boolean },
  ): Promise<ClientRecord | undefined> {
    if (documentUrlFault(clientId, { allowHttp }) !== undefined) return undefined;
    const known = cache.get(clientId);
    const now = clock();
    if (known && (now < known.freshUntil || (!mayFetch && now < known.usableUntil))) return known.record;
    if (!mayFetch) return undefined;
    try {
      return await load(clientId);
    } catch (error) {
      if (known && now < known.usableUntil) return known.record;
      throw unavailable(error);
    }
  }

  /** Concurrent requests for one document share one fetch. */
  function load(clientId: string): Promise<ClientRecord | undefined> {
    const { origin } = new URL(clientId);
    const run =
      pending.get(clientId) ??
      queue({ subject: origin, source: '' }, () => loadNow(clientId)).finally(() => pending.delete(clientId));
    pending.set(clientId, run);
    return run;
  }

  /** Fetches a document. A document that is refused is forgotten, and the operator learns the reason. */
  async function loadNow(clientId: string): Promise<ClientRecord | undefined> {
    try {
      const isAllowed: unknown = allow ? await callHost(() => allow(new URL(clientId))) : true;
      if (isAllowed !== true) throw new RefusedExchange('refused by the host');
      const { document, age } = await fetched(clientId);
      const now = clock();
      const record = await recordOf(clientId, document);
      cache.set(clientId, { record, freshUntil: now + age * 1000, usableUntil: now + STALE_AGE * 1000 });
      return record;
    } catch (thrown) {
      if (!isFinal(thrown)) throw thrown;
      cache.delete(clientId);
      reporter.emit('metadata_document.refused', { clientId, reason: (thrown as Error).message });
      return undefined;
    }
  }

  async function fetched(clientId: string): Promise<{ document: WireMetadata; age: number }> {
    const response = await fetch(clientId, { headers: { Accept: 'application/json' } });
    const { status, headers } = response;
    if (status >= 500 || status === 429) throw new Error(`the response has status ${status}`);
    if (status !== 200) throw new RefusedExchange(`the response has status ${status}`);
    if (!/^application\/([\w.+-]+\+)?json *(;|$)/i.test(headers.get('content-type') ?? ''))
      throw new RefusedExchange('the response is not JSON');
    const document = parseJsonObject(await response.text());
    if (!document) throw new RefusedExchange('the response is not a JSON object');
    return { document, age: Math.min(Math.max(ageOf(headers, clock()), LEAST_AGE), MOST_AGE) };
  }

  async function recordOf(clientId: string, document: WireMetadata): Promise<ClientRecord> {
    // The comparison is of the texts: otherwise one document could speak for another (§4 of the draft).
    if (document.client_id !== clientId) throw new RefusedExchange('client_id is not its URL');
    if ('client_secret' in document || 'client_secret_expires_at' in document)
      throw new RefusedExchange('it has a secret, which everybody could read');
    const methods = methodsOf(document);
    const [method] = methods;
    const client = await accept(
      document,
      {
        clientId,
        ...((document.client_name ?? '') === '' && { clientName: new URL(clientId).host }),
        // A client that may do without its keys proves nothing.
        tokenEndpointAuthMethod: methods.includes('none') ? 'none' : method,
        selfAsserted: true,
      },
      { source: 'metadata_document', hasInitialAccessToken: false, softwareStatement: undefined },
    );
    return { ...clientRecord({ ...client, optionalScope: scope.join(' ') }), methods };
  }

  return { find };
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

/** Whether another attempt would end in the same way, so that the document counts as withdrawn. */
function isFinal(thrown: unknown): boolean {
  return thrown instanceof RefusedExchange || asOAuthError(thrown).status < 500;
}

/** Returns how long a response may be kept, in seconds (RFC 9111 §4.2.1). */
function ageOf(headers: Headers, now: number): number {
  const control = headers.get('cache-control') ?? '';
  if (/\bno-(?:store|cache)\b/i.test(control)) return 0;
  const maximum = /\bmax-age\s*=\s*"?(\d{1,10})/i.exec(control)?.[1];
  if (maximum !== undefined) return Number(maximum) - (Number(headers.get('age')) || 0);
  const expires = Date.parse(headers.get('expires') ?? '');
  return Number.isNaN(expires) ? DEFAULT_AGE : (expires - now) / 1000;
}

function unavailable(cause: unknown): Error {
  return temporarilyUnavailable('The metadata document of the client cannot be fetched', {
    cause,
    reason: `metadata document: ${(cause as Error).message}`,
  });
}
