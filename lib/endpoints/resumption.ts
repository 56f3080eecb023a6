import { createHash, randomBytes } from 'node:crypto';

import type { Store } from '../adapters/store';
import { OAuthError } from '../errors';
import { withParameters } from '../http/redirect';
import { parametersOf, type Parameters } from '../http/parameters';
import type { OAuthUser } from '../grants/user';
import type { Sealer } from '../tokens/keys';
import type { Returned } from './provider-transaction';

/** How far an authorization request has come. */
export interface Progress {
  /** Epoch milliseconds: when it first arrived. */
  readonly startedAt: number;
  /** How often the browser was sent to the login. */
  readonly detours: number;
  /** Whether the login was told to ask, the last time. */
  readonly asked?: boolean | undefined;
  /** Under which the request is parked, if it is. */
  readonly parkedId?: string | undefined;
  /** Under which it was pushed, if it was. */
  readonly pushedId?: string | undefined;
  /** Whether its client has signed it. */
  readonly signed?: boolean | undefined;
  /** Who has signed in through a provider; a resume URL does not carry it. */
  readonly signedIn?: SignedIn | undefined;
}

/** Who has signed in through a provider. */
export interface SignedIn {
  readonly providerId: string;
  readonly type: 'authenticate' | 'link';
  readonly isNewUser: boolean;
  /** Under which the browser left: only that browser goes on. */
  readonly state: string;
  readonly user: OAuthUser;
  /** No more than this may be granted: that of the token that stood for the user, where an account was linked. */
  readonly scopeLimit: readonly string[] | undefined;
}

/** An authorization request with its progress. */
export interface Resumed {
  readonly parameters: Parameters;
  readonly progress: Progress;
  /** What came back from a provider, and was not looked at yet. */
  readonly returned?: Returned;
  /** What came along to say whose request it is, where it first arrived. */
  readonly keys?: { readonly inHeader: string | undefined; readonly inParameters: string | undefined };
  /** Why the request that arrived is none: to be told to the client, if it can be told. */
  readonly fault?: OAuthError;
}

/** Carries a request over a detour: in the URL or the form, or parked in the store if it does not fit there. */
export interface Resumption {
  /** A request as it arrives; a resumed one is checked, and fetched if it was parked. @throws OAuthError `invalid_request` */
  arrive(parameters: Parameters): Promise<Resumed>;
  /** Parks a request that is long, or that must be; `lifetime` is in seconds. */
  park(resumed: Resumed, options: { always: boolean; lifetime: number }): Promise<Resumed>;
  /** The URL that continues a request, absolute or as a path, for `lifetime` seconds from its start. */
  url(resumed: Resumed, lifetime: number): string;
  /** A request again, from what `carried` gave. @throws OAuthError `invalid_request` if it was parked and is spent */
  restore(carried: Carried): Promise<Resumed>;
  /** What a form must seal. */
  carried(resumed: Resumed): Carried;
  /** Whether a URL is one of these, still valid, and on this server. */
  isResumeUrl(url: unknown): url is string;
  /** Spends a parked request. @throws OAuthError `invalid_request` if it has been spent */
  complete(progress: Progress): Promise<void>;
}

/** A request as JSON. */
export interface Carried {
  readonly progress: Progress;
  /** None if it is parked. */
  readonly entries: readonly [string, string][];
}

interface ResumptionOptions {
  authorizeUrl: string;
  /** Resume URLs are paths, because the host's login is on the same origin. */
  asPath: boolean;
  sealer: Sealer;
  store: Store;
  clock: () => number;
}

/** The name of the parameter that holds the seal. */
const RESUME = 'resume';
/** Longer URLs do not get through everywhere. */
const MAXIMUM_LENGTH = 2048;
/** Anybody can have a request kept. Characters. */
const MAXIMUM_KEPT = 16_384;

interface Seal extends Progress {
  /** SHA-256 of the parameters, unless they are parked. */
  readonly hash?: string;
  readonly expiresAt: number;
}

export function resumption(options: ResumptionOptions): Resumption {
  const { authorizeUrl, asPath, sealer, store, clock } = options;
  const endpoint = new URL(authorizeUrl);
  const base = asPath ? endpoint.pathname : authorizeUrl;

  async function arrive(parameters: Parameters): Promise<Resumed> {
    if (parameters.faults.has(RESUME)) throw stale('repeated');
    const sealed = parameters.get(RESUME);
    if (sealed === undefined) return { parameters, progress: { startedAt: clock(), detours: 0 } };
    const seal = unsealed(sealed);
    if (!seal) throw stale('tampered or expired');
    const { hash, startedAt, detours, asked, parkedId, pushedId, signed } = seal;
    const progress = { startedAt, detours, asked, parkedId, pushedId, signed };
    if (parkedId !== undefined) return restore({ progress, entries: [] });
    const request = withoutResume(parameters);
    if (hashOf(request) !== hash) throw stale('of another request');
    return { parameters: request, progress };
  }

  async function park(
    resumed: Resumed,
    { always, lifetime }: { always: boolean; lifetime: number },
  ): Promise<Resumed> {
    const { parameters, progress } = resumed;
    // As it stands in `return_to`: encoded in a URL that is encoded again.
    const inUrl = encodeURIComponent(new URLSearchParams(parameters.entries()).toString());
    // What was pushed was to stay out of the browser's URLs (RFC 9126 §1).
    const mustBe = always || progress.pushedId !== undefined || inUrl.length > MAXIMUM_LENGTH;
    if (progress.parkedId !== undefined || !mustBe) return resumed;
    refuseLong(parameters);
    const entries = JSON.stringify(parameters.entries());
    const parkedId = randomBytes(16).toString('base64url');
    await store.put(parkedKey(parkedId), entries, lifetime);
    return { parameters, progress: { ...progress, parkedId } };
  }

  function url(resumed: Resumed, lifetime: number): string {
    const { parameters } = resumed;
    const progress = { ...resumed.progress, signedIn: undefined };
    const expiresAt = progress.startedAt + lifetime * 1000;
    if (progress.parkedId !== undefined) {
      return withParameters(base, { [RESUME]: sealer.seal(JSON.stringify({ ...progress, expiresAt })) });
    }
    const seal = sealer.seal(JSON.stringify({ ...progress, expiresAt, hash: hashOf(parameters) }));
    return `${base}?${new URLSearchParams([...parameters.entries(), [RESUME, seal]]).toString()}`;
  }

  async function restore({ progress, entries }: Carried): Promise<Resumed> {
    const { parkedId } = progress;
    return {
      parameters: parkedId === undefined ? parametersOf(entries) : await unparked(parkedId),
      progress,
    };
  }

  function carried({ parameters, progress }: Resumed): Carried {
    return { progress, entries: progress.parkedId === undefined ? parameters.entries() : [] };
  }

  function isResumeUrl(candidate: unknown): candidate is string {
    if (typeof candidate !== 'string') return false;
    const start = [endpoint.pathname, authorizeUrl].find((own) => candidate.startsWith(`${own}?`));
    if (start === undefined || !/^[\x21-\x7e]+$/.test(candidate)) return false;
    return unsealed(new URLSearchParams(candidate.slice(start.length)).get(RESUME) ?? '') !== undefined;
  }

  async function complete({ parkedId }: Progress): Promise<void> {
    if (parkedId === undefined) return;
    const taken = await store.take(parkedKey(parkedId));
    if (typeof taken !== 'string') throw stale('already completed');
  }

  async function unparked(parkedId: string): Promise<Parameters> {
    const entries = await store.get(parkedKey(parkedId));
    if (typeof entries !== 'string') throw stale('already completed or expired');
    return parametersOf(JSON.parse(entries) as [string, string][]);
  }

  function unsealed(sealed: string): Seal | undefined {
    const text = sealer.open(sealed);
    const seal = text === undefined ? undefined : (JSON.parse(text) as Seal);
    return seal && clock() < seal.expiresAt ? seal : undefined;
  }

  return { arrive, park, url, restore, carried, isResumeUrl, complete };
}

/** @throws OAuthError `invalid_request` for a request that is too long to be kept */
export function refuseLong(parameters: Parameters): void {
  if (JSON.stringify(parameters.entries()).length > MAXIMUM_KEPT) {
    throw new OAuthError('invalid_request', 'The request is too long');
  }
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
  return new OAuthError('invalid_request', 'This sign-in is over, or took too long', {
    reason: `resume: ${reason}`,
  });
}
