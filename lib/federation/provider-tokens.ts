import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Store } from '../adapters/store';
import { sha256 } from '../digest';
import { asOAuthError, type OAuthError, temporarilyUnavailable } from '../errors';
import type { EventReporter } from '../event-reporter';
import type { SealedJson } from '../tokens/sealed-json';
import type { Upstream, UpstreamTokens } from './upstream';

/** An access token of a provider, with which the host can call the provider's API. */
export interface ProviderTokens {
  /** The access token. */
  readonly accessToken: string;
  /** The token type, usually `bearer`. */
  readonly tokenType: string;
  /** The granted scope, if the provider says. */
  readonly scope: string | undefined;
  /** The expiry in epoch milliseconds; `undefined` if the provider does not say. */
  readonly expiresAt: number | undefined;
}

/** The tokens that providers issued for users: encrypted at rest, and refreshed once for all concurrent callers. */
export interface ProviderTokenStore {
  /** Stores the tokens of a sign-in. */
  save(owner: Owner & { readonly subject: string }, tokens: UpstreamTokens): Promise<void>;
  /**
   * Returns tokens that have not expired; `undefined` if there are none, or if they have expired and cannot be refreshed.
   * @throws OAuthError if the provider fails to refresh expired tokens, TypeError for an unknown provider
   */
  get(owner: Owner): Promise<ProviderTokens | undefined>;
  delete(owner: Owner): Promise<void>;
}

interface Owner {
  readonly userId: string;
  readonly providerId: string;
}

export interface StoredProviderTokens extends Owner, UpstreamTokens {
  /** The user's id at the provider. If the user has several accounts there, it belongs to the account that was used last. */
  readonly subject: string;
  /** When a refresh failed. Epoch milliseconds. */
  readonly failedAt?: number | undefined;
  /** Changes with each write: only one caller at a time refreshes a version. */
  readonly version: string;
}

/** The remaining lifetime below which a token is refreshed. Milliseconds. */
const MARGIN = 60_000;
/** How long tokens are kept after they were issued or refreshed. Seconds. */
const LIFETIME = 400 * 86_400;
/** How much longer than the provider's timeout a refresh may take before another process may try. Seconds. */
const REFRESH_GRACE = 5;
/** The pause between two reads while another caller refreshes the tokens. Milliseconds. */
const POLL = 50;
/** The pause after a failed refresh. Milliseconds. */
const COOL_DOWN = 5_000;

export function createProviderTokenStore(options: {
  upstreams: ReadonlyMap<string, Upstream>;
  sealed: SealedJson<StoredProviderTokens>;
  store: Store;
  clock: () => number;
  reporter: EventReporter;
}): ProviderTokenStore {
  const { upstreams, sealed, store, clock, reporter } = options;

  async function read({ userId, providerId }: Owner): Promise<StoredProviderTokens | undefined> {
    const stored = sealed.open(await store.get(keyOf({ userId, providerId })));
    // Write access to the store must not be enough to give one user the tokens of another.
    return stored?.userId === userId && stored.providerId === providerId ? stored : undefined;
  }

  async function write(tokens: Omit<StoredProviderTokens, 'version'>): Promise<void> {
    const stored: StoredProviderTokens = { ...tokens, version: randomUUID() };
    await twice(() => store.put(keyOf(stored), sealed.seal(stored), LIFETIME));
  }

  async function save(owner: Owner & { subject: string }, tokens: UpstreamTokens): Promise<void> {
    // Some providers issue a refresh token the first time only.
    const before = tokens.refreshToken === undefined ? await read(owner) : undefined;
    const kept = before?.subject === owner.subject ? before.refreshToken : undefined;
    await write({ ...tokens, ...owner, refreshToken: tokens.refreshToken ?? kept });
  }

  async function get(owner: Owner): Promise<ProviderTokens | undefined> {
    const own = upstreams.get(owner.providerId);
    if (!own) throw new TypeError(`there is no provider ${owner.providerId}`);
    const turnLength = own.provider.timeout + REFRESH_GRACE;
    const deadline = performance.now() + 2 * turnLength * 1000;
    while (performance.now() < deadline) {
      const stored = await read(owner);
      const { expiresAt = Infinity, refreshToken, failedAt = -Infinity } = stored ?? {};
      const now = clock();
      if (!stored || now < expiresAt - MARGIN) return stored && shown(stored);
      const isOver = now >= expiresAt;
      if (refreshToken === undefined) return isOver ? undefined : shown(stored);
      const rests = now - failedAt < COOL_DOWN;
      const turn = !rests && (await store.setOnce(`provider-refresh:${stored.version}`, turnLength));
      if (turn) return refreshed(own, stored, refreshToken);
      if (!isOver) return shown(stored);
      if (rests) break;
      // Another caller, in this or another process, is refreshing it.
      await sleep(POLL);
    }
    throw unavailable(owner);
  }

  async function refreshed(
    own: Upstream,
    stored: StoredProviderTokens,
    refreshToken: string,
  ): Promise<ProviderTokens | undefined> {
    const { userId, providerId, version, expiresAt = Infinity } = stored;
    let tokens: UpstreamTokens | undefined;
    let failure: OAuthError | undefined;
    try {
      tokens = await own.refresh(refreshToken);
    } catch (thrown) {
      failure = asOAuthError(thrown);
      reporter.emit('provider.failed', { userId, providerId, cause: failure.cause });
    }
    // A sign-in in between may have stored newer tokens.
    const current = await twice(() => read(stored)).catch(() => stored);
    if (current?.version !== version) return current && shown(current);
    if (tokens) {
      const next = { ...stored, ...tokens, scope: tokens.scope ?? stored.scope, failedAt: undefined };
      // They are valid now; the failure to store them is reported by an event.
      await write(next).catch(() => undefined);
      return shown(next);
    }
    // The user, or the provider, has revoked the access.
    if (failure?.code === 'access_denied') {
      await remove(stored);
      return undefined;
    }
    await write({ ...stored, failedAt: clock() }).catch(() => undefined);
    if (clock() < expiresAt) return shown(stored);
    throw failure ?? unavailable(stored);
  }

  async function remove(owner: Owner): Promise<void> {
    await store.take(keyOf(owner));
  }

  return { save, get, delete: remove };
}

/** Runs a function and retries it once, because the provider may already have voided the previous tokens. */
async function twice<T>(run: () => Promise<T>): Promise<T> {
  return run().catch(run);
}

/** Returns the key in the store. It is hashed, because user ids may be long and contain any character. */
function keyOf({ userId, providerId }: Owner): string {
  return `provider-tokens:${sha256(JSON.stringify([userId, providerId]))}`;
}

function unavailable({ providerId }: Owner): OAuthError {
  return temporarilyUnavailable(`The provider ${providerId} is not available`);
}

function shown({ accessToken, tokenType, scope, expiresAt }: UpstreamTokens): ProviderTokens {
  return { accessToken, tokenType, scope, expiresAt };
}
