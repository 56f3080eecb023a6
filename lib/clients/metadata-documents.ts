import { setTimeout as sleep } from 'node:timers/promises';

import { LRUCache } from 'lru-cache';

import { asOAuthError, OAuthError, temporarilyUnavailable } from '../errors';
import type { EventReporter } from '../event-reporter';
import { callHost, type Awaitable } from '../host/call';
import { createFairQueue } from '../http/fair-queue';
import type { NetworkOfSender } from '../http/network';
import { RefusedExchange } from '../http/outbound';
import type { ClientRecord } from './client';
import { documentUrlFault } from './document-url';
import type { DocumentReader } from './metadata-document';

/** The request that a client is looked up for. */
export interface ClientLookup {
  /**
   * Whether its metadata document may be fetched. Otherwise it is known only if that was fetched before: for requests that anybody can send,
   * and that are worth no fetch.
   */
  readonly mayFetch: boolean;
  /** Each network has a share of the fetches. */
  readonly source?: NetworkOfSender;
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

const CACHED_DOCUMENTS = 1000;
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
  documents: DocumentReader;
  allow: AllowDocument | undefined;
  allowHttp: boolean;
  clock: () => number;
  reporter: EventReporter;
}): MetadataDocuments {
  const { documents, allow, allowHttp, clock, reporter } = options;
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
    const source = lookup.source?.() ?? '';
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
      const { record, age } = await documents.read(clientId);
      const now = clock();
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

/** Whether another attempt would end in the same way, so that the document counts as withdrawn. */
function isFinal(thrown: unknown): boolean {
  return thrown instanceof RefusedExchange || asOAuthError(thrown).status < 500;
}

function unavailable(cause: unknown): Error {
  if (cause instanceof OAuthError && cause.code === 'temporarily_unavailable') return cause;
  return temporarilyUnavailable('The metadata document of the client cannot be fetched', {
    cause,
    reason: `metadata document: ${(cause as Error).message}`,
  });
}
