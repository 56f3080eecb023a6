import { createHash, randomBytes } from 'node:crypto';

import type { Store } from '../adapters/store';
import { invalidRequest, type OAuthError } from '../errors';
import { parametersOf, type Parameters } from '../http/parameters';
import { withParameters } from '../http/redirect';
import type { SealedJson } from '../tokens/sealed-json';
import type { PendingRequest, Progress } from './progress';

/** Keeps a request during a detour of the browser: in the URL or form, or parked in the store if it does not fit there. */
export interface Resuming {
  /** Restores a request from a resume URL. @throws OAuthError `invalid_request` */
  resume(parameters: Parameters): Promise<PendingRequest>;
  /** Parks a request that is long or was pushed; with `always`, any request. `lifetime` is in seconds. */
  park(pending: PendingRequest, options: { always: boolean; lifetime: number }): Promise<PendingRequest>;
  /** Returns the URL that continues a request, absolute or as a path, valid for `lifetime` seconds from the request's start. */
  url(pending: PendingRequest, lifetime: number): string;
  /** Returns the contents that a form must seal to continue a request. */
  carry(pending: PendingRequest): Carried;
  /** Restores a request from a form. @throws OAuthError `invalid_request` if it was parked and is spent */
  restore(carried: Carried): Promise<PendingRequest>;
  /** Whether a URL is a valid resume URL of this server. */
  isResumeUrl(url: unknown): url is string;
  /** Spends a parked request. @throws OAuthError `invalid_request` if it was spent before */
  complete(progress: Progress): Promise<void>;
}

/** A request as JSON. */
export interface Carried {
  readonly progress: Progress;
  /** The parameters; empty if the request is parked. */
  readonly entries: readonly [string, string][];
}

/** The contents of a resume URL's seal. */
export interface ResumeSeal extends Omit<Progress, 'providerUser'> {
  /** SHA-256 of the parameters, unless they are parked. */
  readonly hash?: string;
}

interface ResumingOptions {
  authorizeUrl: string;
  /** Whether resume URLs are paths, because the host's login is on the same origin. */
  asPath: boolean;
  sealed: SealedJson<ResumeSeal>;
  store: Pick<Store, 'put' | 'get' | 'take'>;
}

/** The parameter that contains the seal. */
export const RESUME = 'resume';
/** Longer URLs fail in some browsers and proxies. */
const MAXIMUM_URL_LENGTH = 2048;
/** The longest request to keep: anyone can cause one. Characters. */
const MAXIMUM_KEPT_LENGTH = 16_384;

export function createResuming({ authorizeUrl, asPath, sealed, store }: ResumingOptions): Resuming {
  const endpoint = new URL(authorizeUrl);
  const base = asPath ? endpoint.pathname : authorizeUrl;

  async function resume(parameters: Parameters): Promise<PendingRequest> {
    if (parameters.faults.has(RESUME)) throw stale('repeated');
    const seal = sealed.open(parameters.get(RESUME));
    if (!seal) throw stale('tampered or expired');
    const { hash, ...progress } = seal;
    if (progress.parkedId !== undefined) return restore({ progress, entries: [] });
    const request = withoutResume(parameters);
    if (hashOf(request) !== hash) throw stale('for another request');
    return { parameters: request, progress };
  }

  async function park(
    pending: PendingRequest,
    { always, lifetime }: { always: boolean; lifetime: number },
  ): Promise<PendingRequest> {
    const { parameters, progress } = pending;
    // The length within `return_to`: encoded in a URL that is encoded again.
    const inUrl = encodeURIComponent(new URLSearchParams(parameters.entries()).toString());
    // Pushed parameters must stay out of the browser's URLs (RFC 9126 §1).
    const mustBe = always || progress.pushedId !== undefined || inUrl.length > MAXIMUM_URL_LENGTH;
    if (progress.parkedId !== undefined || !mustBe) return pending;
    refuseLong(parameters);
    const parkedId = randomBytes(16).toString('base64url');
    await store.put(parkedKey(parkedId), JSON.stringify(parameters.entries()), lifetime);
    return { parameters, progress: { ...progress, parkedId } };
  }

  function url({ parameters, progress }: PendingRequest, lifetime: number): string {
    const { providerUser: _, ...kept } = progress;
    const expiresAt = progress.startedAt + lifetime * 1000;
    if (progress.parkedId !== undefined) {
      return withParameters(base, { [RESUME]: sealed.seal(kept, expiresAt) });
    }
    const seal = sealed.seal({ ...kept, hash: hashOf(parameters) }, expiresAt);
    return `${base}?${new URLSearchParams([...parameters.entries(), [RESUME, seal]]).toString()}`;
  }

  function carry({ parameters, progress }: PendingRequest): Carried {
    return { progress, entries: progress.parkedId === undefined ? parameters.entries() : [] };
  }

  async function restore({ progress, entries }: Carried): Promise<PendingRequest> {
    const { parkedId } = progress;
    const parameters = parkedId === undefined ? parametersOf(entries) : await unparked(parkedId);
    return { parameters, progress };
  }

  function isResumeUrl(candidate: unknown): candidate is string {
    if (typeof candidate !== 'string') return false;
    const start = [endpoint.pathname, authorizeUrl].find((own) => candidate.startsWith(`${own}?`));
    if (start === undefined || !/^[\x21-\x7e]+$/.test(candidate)) return false;
    return (
      sealed.open(new URLSearchParams(candidate.slice(start.length)).get(RESUME) ?? undefined) !== undefined
    );
  }

  async function complete({ parkedId }: Progress): Promise<void> {
    if (parkedId === undefined) return;
    const taken = await store.take(parkedKey(parkedId));
    if (taken === undefined) throw stale('already completed');
  }

  async function unparked(parkedId: string): Promise<Parameters> {
    const entries = await store.get(parkedKey(parkedId));
    if (entries === undefined) throw stale('already completed or expired');
    return parametersOf(JSON.parse(entries) as [string, string][]);
  }

  return { resume, park, url, carry, restore, isResumeUrl, complete };
}

/** Refuses a request that is too long to be kept. @throws OAuthError `invalid_request` */
export function refuseLong(parameters: Parameters): void {
  if (JSON.stringify(parameters.entries()).length > MAXIMUM_KEPT_LENGTH)
    throw invalidRequest('The request is too long');
}

function parkedKey(id: string): string {
  return `parked:${id}`;
}

function withoutResume(parameters: Parameters): Parameters {
  return {
    ...parametersOf(parameters.entries().filter(([name]) => name !== RESUME)),
    faults: parameters.faults,
  };
}

function hashOf(parameters: Parameters): string {
  return createHash('sha256').update(JSON.stringify(parameters.entries())).digest('base64url');
}

function stale(reason: string): OAuthError {
  return invalidRequest('This sign-in is over, or took too long', { reason: `resume: ${reason}` });
}
