import { randomBytes } from 'node:crypto';

import type { Store } from '../adapters/store';
import { sha256 } from '../digest';
import { invalidRequest, type OAuthError } from '../errors';
import { parametersOf, type Parameters } from '../http/parameters';
import { withParameters } from '../http/redirect';
import type { SealedJson } from '../tokens/sealed-json';
import type { CompletedRequests } from './completed-requests';
import type { PendingRequest, Progress } from './progress';

/** Keeps a request during a detour of the browser: in the URL or form, or parked in the store if it does not fit there. */
export interface Resuming {
  /** Restores a request from a resume URL. @throws OAuthError `invalid_request` */
  resume(parameters: Parameters): Promise<PendingRequest>;
  /**
   * Parks a request that is long or was pushed, before its user is known: for a short time, because anyone can cause it. With
   * `once`, a request of any length gives one code only.
   */
  park(pending: PendingRequest, options: { once: boolean }): Promise<PendingRequest>;
  /** As `park`, for a user who has signed in. `lifetime` is in seconds. */
  parkForUser(pending: PendingRequest, options: { once: boolean; lifetime: number }): Promise<PendingRequest>;
  /** Returns the URL that continues a request, absolute or as a path, valid for `lifetime` seconds from the request's start. */
  url(pending: PendingRequest, lifetime: number): string;
  /** Returns the contents that a form must seal to continue a request. */
  carry(pending: PendingRequest): Carried;
  /** Restores a request from a form. @throws OAuthError `invalid_request` if it is spent */
  restore(carried: Carried): Promise<PendingRequest>;
  /** Whether a URL is a valid resume URL of this server. */
  isResumeUrl(url: unknown): url is string;
}

/** A request as JSON. */
export interface Carried {
  readonly progress: Progress;
  /** The parameters; empty if the request is parked. */
  readonly entries: readonly [string, string][];
}

/** The contents of a resume URL's seal. */
export interface ResumeSeal extends Omit<Progress, 'providerUser' | 'allowed'> {
  /** SHA-256 of the parameters, unless they are parked. */
  readonly hash?: string;
}

interface ResumingOptions {
  authorizeUrl: string;
  /** Whether resume URLs are paths, because the host's login is on the same origin. */
  asPath: boolean;
  sealed: SealedJson<ResumeSeal>;
  /** Sealed in the store, because the parameters may contain a token and facts about a user. */
  sealedEntries: SealedJson<ParkedEntries>;
  store: Pick<Store, 'put' | 'get'>;
  completed: CompletedRequests;
}

/** The parameter that contains the seal. */
export const RESUME = 'resume';
/** Longer URLs fail in some browsers and proxies. */
const MAXIMUM_URL_LENGTH = 2048;
/** The longest request to keep. Characters. */
const MAXIMUM_KEPT_LENGTH = 16_384;
/** The longest request to keep before its user is known. Characters. */
const MAXIMUM_ANONYMOUS_LENGTH = 8_192;
/** How long a request is parked before its user is known. Seconds. */
const ANONYMOUS_LIFETIME = 900;

export function createResuming(options: ResumingOptions): Resuming {
  const { authorizeUrl, asPath, sealed, sealedEntries, store, completed } = options;
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
    const restored = await restore({ progress, entries: request.entries() });
    return { ...restored, parameters: request };
  }

  async function park(pending: PendingRequest, { once }: { once: boolean }): Promise<PendingRequest> {
    const { parameters, progress } = pending;
    if (progress.parkedId !== undefined) return pending;
    if (!mustBeParked(pending)) return once ? { parameters, progress: withOnceId(progress) } : pending;
    if (progress.pushedId === undefined) refuseLong(parameters, MAXIMUM_ANONYMOUS_LENGTH);
    return write(pending, ANONYMOUS_LIFETIME);
  }

  async function parkForUser(
    pending: PendingRequest,
    { once, lifetime }: { once: boolean; lifetime: number },
  ): Promise<PendingRequest> {
    const { parameters, progress } = pending;
    if (!mustBeParked(pending)) return once ? { parameters, progress: withOnceId(progress) } : pending;
    refuseLong(parameters);
    // Also a request that was parked before the login, which would be dropped soon.
    return write(pending, lifetime);
  }

  async function write({ parameters, progress }: PendingRequest, lifetime: number): Promise<PendingRequest> {
    // All visits of a pushed request share one entry.
    const parkedId = progress.parkedId ?? progress.pushedId ?? newId();
    await store.put(parkedKey(parkedId), sealedEntries.seal(parameters.entries()), lifetime);
    return { parameters, progress: { ...withOnceId(progress), parkedId } };
  }

  function mustBeParked({ parameters, progress }: PendingRequest): boolean {
    // The length within `return_to`: encoded in a URL that is encoded again.
    const inUrl = encodeURIComponent(new URLSearchParams(parameters.entries()).toString());
    // Pushed parameters must stay out of the browser's URLs (RFC 9126 §1).
    return progress.pushedId !== undefined || inUrl.length > MAXIMUM_URL_LENGTH;
  }

  function url({ parameters, progress }: PendingRequest, lifetime: number): string {
    // Both belong to one browser, and a URL can be given away.
    const kept = { ...progress, providerUser: undefined, allowed: undefined };
    if (progress.parkedId !== undefined) {
      const expiresAt = progress.startedAt + Math.min(lifetime, ANONYMOUS_LIFETIME) * 1000;
      return withParameters(base, { [RESUME]: sealed.seal(kept, expiresAt) });
    }
    const expiresAt = progress.startedAt + lifetime * 1000;
    const seal = sealed.seal({ ...kept, hash: hashOf(parameters) }, expiresAt);
    return `${base}?${new URLSearchParams([...parameters.entries(), [RESUME, seal]]).toString()}`;
  }

  function carry({ parameters, progress }: PendingRequest): Carried {
    return { progress, entries: progress.parkedId === undefined ? parameters.entries() : [] };
  }

  async function restore({ progress, entries }: Carried): Promise<PendingRequest> {
    const { parkedId, onceId } = progress;
    const [isOver, parameters] = await Promise.all([
      onceId !== undefined && completed.isOver(onceId),
      parkedId === undefined ? parametersOf(entries) : unparked(parkedId),
    ]);
    if (isOver) throw stale('already completed');
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

  async function unparked(parkedId: string): Promise<Parameters> {
    const entries = sealedEntries.open(await store.get(parkedKey(parkedId)));
    if (!entries) throw stale('expired');
    return parametersOf(entries);
  }

  return { resume, park, parkForUser, url, carry, restore, isResumeUrl };
}

/** The parameters of a parked request. */
export type ParkedEntries = readonly [string, string][];

function newId(): string {
  return randomBytes(16).toString('base64url');
}

/** Marks a request that gives one code only. All visits of a pushed request are one request. */
function withOnceId(progress: Progress): Progress {
  return { ...progress, onceId: progress.onceId ?? progress.pushedId ?? newId() };
}

/** Refuses a request that is too long to be kept. @throws OAuthError `invalid_request` */
export function refuseLong(parameters: Parameters, maximumLength = MAXIMUM_KEPT_LENGTH): void {
  if (JSON.stringify(parameters.entries()).length > maximumLength)
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
  return sha256(JSON.stringify(parameters.entries()));
}

export function stale(reason: string): OAuthError {
  return invalidRequest('This sign-in is over, or took too long', { reason: `resume: ${reason}` });
}
