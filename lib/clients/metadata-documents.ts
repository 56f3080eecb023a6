import { setTimeout as sleep } from 'node:timers/promises';

import { LRUCache } from 'lru-cache';

import { asOAuthError, OAuthError, temporarilyUnavailable } from '../errors';
import type { EventReporter } from '../event-reporter';
import { callHost, type Awaitable } from '../host/call';
import { createFairQueue } from '../http/fair-queue';
import { createGuardedFetch, RefusedExchange, type OutboundOptions } from '../http/outbound';
import { isDeep, parseJsonObject } from '../json';
import { clientRecord, type ClientRecord } from './client';
import { documentUrlFault } from './document-url';
import type { SelfAssertedClients, WireMetadata } from './self-asserted';

/** The request that a client is looked up for. */
export interface ClientLookup {
  /**
   * Whether its metadata document may be fetched. Otherwise it is known only if that was fetched before: for requests that anybody can send,
   * and that are worth no fetch.
   */
  readonly mayFetch: boolean;
  /** The network of the sender: each has a share of the fetches. */
  readonly source?: string;
  /** Whether the client has proven that it got a code or token here: its document is kept longest. */
  readonly isUsed?: boolean;
}

/** Clients whose id is the URL of a document about them. */
export interface MetadataDocuments {
  /**
   * Returns the client of a URL, or `undefined` if it is none.
   * @throws OAuthError `temporarily_unavailable` if the document cannot be fetched
   */
  find(clientId: string, lookup: ClientLookup): Promise<ClientRecord | undefined>;
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
/** How many documents are fetched from one origin, whoever causes it. */
const OF_ORIGIN = {
  concurrent: 1000,
  concurrentOfSubject: 2,
  maximumLength: 400,
  maximumLengthOfSubject: 20,
};
/** How many are fetched for one sender's network, of all. */
const OF_SENDER = { concurrent: 32, concurrentOfSubject: 8, maximumLength: 400, maximumLengthOfSubject: 100 };
/** How long a request waits for a document of which there is an older copy. Milliseconds. */
const PATIENCE = 1000;
/** The pause after a fetch that failed: with an older copy, and without one. Milliseconds. */
const PAUSE_WITH_COPY = 30_000;
const PAUSE = 1000;

interface Cached {
  readonly record: ClientRecord;
  /** Epoch milliseconds. */
  readonly freshUntil: number;
  readonly usableUntil: number;
}

/** @see draft-ietf-oauth-client-id-metadata-document §4 to §6 */
export function createMetadataDocuments(options: {
  clients: SelfAssertedClients;
  /** The scope values that such clients may request by name. */
  scope: readonly string[];
  allow: AllowDocument | undefined;
  allowHttp: boolean;
  outbound: Pick<OutboundOptions, 'allowPrivateAddresses' | 'allowHttp' | 'lookup'>;
  clock: () => number;
  reporter: EventReporter;
}): MetadataDocuments {
  const { clients, scope, allow, allowHttp, outbound, clock, reporter } = options;
  const fetch = createGuardedFetch({ ...outbound, maximumLength: MAXIMUM_LENGTH });
  const cache = createDocumentCache();
  /** When the documents may be tried again whose last fetch failed, and why it did. */
  const failures = new LRUCache<string, { until: number; error: unknown }>({ max: CACHED_DOCUMENTS });
  const pending = new Map<string, Promise<ClientRecord | undefined>>();
  const full = (): Error => unavailable(new Error('too many are fetched at once'));
  const ofOrigin = createFairQueue({ ...OF_ORIGIN, full });
  const ofSender = createFairQueue({ ...OF_SENDER, full });

  async function find(clientId: string, lookup: ClientLookup): Promise<ClientRecord | undefined> {
    if (documentUrlFault(clientId, { allowHttp }) !== undefined) return undefined;
    const known = cache.get(clientId, lookup);
    const now = clock();
    const copy = known && now < known.usableUntil ? known.record : undefined;
    if (known && now < known.freshUntil) return known.record;
    if (!lookup.mayFetch) return copy;
    const failure = failures.get(clientId);
    if (failure && now < failure.until) return copy ?? Promise.reject(unavailable(failure.error));
    const loading = load(clientId, lookup);
    if (!copy) return loading;
    // The copy is good enough while another server makes its mind up. A document that is gone is noticed by the next request.
    return Promise.race([loading, sleep(PATIENCE, copy, { ref: false })]).catch(() => copy);
  }

  /** Concurrent requests for one document share one fetch. */
  function load(clientId: string, lookup: ClientLookup): Promise<ClientRecord | undefined> {
    const { source = '' } = lookup;
    const run =
      pending.get(clientId) ??
      // Those that wait for a slow origin take nothing of their sender's share.
      ofOrigin({ subject: new URL(clientId).origin, source }, () =>
        ofSender({ subject: source, source: clientId }, () => loadNow(clientId, lookup)),
      )
        .catch((error: unknown) => {
          const pause = cache.get(clientId, lookup) ? PAUSE_WITH_COPY : PAUSE;
          failures.set(clientId, { until: clock() + pause, error });
          throw unavailable(error);
        })
        .finally(() => pending.delete(clientId));
    pending.set(clientId, run);
    // A request that has a copy may not wait for it.
    run.catch(() => undefined);
    return run;
  }

  /** Fetches a document. A document that is refused is forgotten, and the operator learns the reason. */
  async function loadNow(clientId: string, lookup: ClientLookup): Promise<ClientRecord | undefined> {
    try {
      const isAllowed: unknown = allow ? await callHost(() => allow(new URL(clientId))) : true;
      if (isAllowed !== true) throw new RefusedExchange('refused by the host');
      const { document, age } = await fetched(clientId);
      const now = clock();
      const record = await recordOf(clientId, document);
      const lifetimes = { freshUntil: now + age * 1000, usableUntil: now + STALE_AGE * 1000 };
      cache.set(clientId, { record, ...lifetimes }, lookup);
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
    if (!document || isDeep(document)) throw new RefusedExchange('the response is not a plain JSON object');
    return { document, age: Math.min(Math.max(ageOf(headers, clock()), LEAST_AGE), MOST_AGE) };
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

  return { find };
}

/**
 * Creates the cache of documents. Those of clients that have got codes or tokens have a place of their own: strangers, who can publish any
 * number of documents, must not displace them.
 */
function createDocumentCache() {
  const used = new LRUCache<string, Cached>({ max: CACHED_DOCUMENTS });
  const others = new LRUCache<string, Cached>({ max: CACHED_DOCUMENTS });
  return {
    get: (clientId: string, { isUsed }: ClientLookup): Cached | undefined => {
      const known = used.get(clientId) ?? others.get(clientId);
      if (known && isUsed && others.delete(clientId)) used.set(clientId, known);
      return known;
    },
    set: (clientId: string, cached: Cached, { isUsed }: ClientLookup): void => {
      const kept = isUsed || used.has(clientId) ? used : others;
      kept.set(clientId, cached);
    },
    delete: (clientId: string): void => {
      used.delete(clientId);
      others.delete(clientId);
    },
  };
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
  const maximum = /(?:^|[\s,])max-age\s*=\s*"?(\d{1,10})/i.exec(control)?.[1];
  if (maximum !== undefined) return Number(maximum) - (Number(headers.get('age')) || 0);
  const expires = Date.parse(headers.get('expires') ?? '');
  return Number.isNaN(expires) ? DEFAULT_AGE : (expires - now) / 1000;
}

function unavailable(cause: unknown): Error {
  if (cause instanceof OAuthError && cause.code === 'temporarily_unavailable') return cause;
  return temporarilyUnavailable('The metadata document of the client cannot be fetched', {
    cause,
    reason: `metadata document: ${(cause as Error).message}`,
  });
}
