import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Store } from '../adapters/store';
import { asOAuthError, OAuthError } from '../errors';
import type { EventReporter } from '../events';
import type { Sealer } from '../tokens/keys';
import type { Upstream, UpstreamTokens } from './upstream';

/** An access token of a provider, for the host to call its API with. */
export interface ProviderTokens {
  readonly accessToken: string;
  readonly tokenType: string;
  /** What the provider granted, if it said. */
  readonly scope: string | undefined;
  /** Epoch milliseconds; `undefined` if the provider does not say. */
  readonly expiresAt: number | undefined;
}

/** The providers' tokens of users: encrypted at rest, and refreshed by one of many who need it at once. */
export interface ProviderTokenStore {
  /** Those of a sign-in. */
  save(owner: Owner & { readonly subject: string }, tokens: UpstreamTokens): Promise<void>;
  /** Fresh ones; `undefined` if there are none, or they cannot be refreshed. */
  get(owner: Owner): Promise<ProviderTokens | undefined>;
  delete(owner: Owner): Promise<void>;
}

interface Owner {
  readonly userId: string;
  readonly providerId: string;
}

interface StoredTokens extends Owner, UpstreamTokens {
  /** Whose they are at the provider: a user may have several accounts there, of which the last one counts. */
  readonly subject: string;
  /** When they could not be refreshed. Epoch milliseconds. */
  readonly failedAt?: number | undefined;
  /** Another one for each refresh: who refreshes a version does it once. */
  readonly version: string;
}

/** A token that ends sooner is refreshed. Milliseconds. */
const MARGIN = 60_000;
/** How long they are kept after they came, or were refreshed. Seconds. */
const LIFETIME = 400 * 86_400;
/** How long one may take to refresh before another one may try, beyond the provider's own time. Seconds. */
const REFRESH_GRACE = 5;
/** Milliseconds. */
const POLL = 50;
/** How long nobody tries again after a failure. Milliseconds. */
const COOL_DOWN = 5_000;

export function providerTokenStore(options: {
  upstreams: ReadonlyMap<string, Upstream>;
  sealer: Sealer;
  store: Store;
  clock: () => number;
  reporter: EventReporter;
}): ProviderTokenStore {
  const { upstreams, sealer, store, clock, reporter } = options;

  async function read({ userId, providerId }: Owner): Promise<StoredTokens | undefined> {
    const sealed = await store.get(keyOf({ userId, providerId }));
    const text = typeof sealed === 'string' ? sealer.open(sealed) : undefined;
    const stored = text === undefined ? undefined : (JSON.parse(text) as StoredTokens);
    // Whoever can write to the store must not give one user the tokens of another.
    return stored?.userId === userId && stored.providerId === providerId ? stored : undefined;
  }

  async function write(tokens: Omit<StoredTokens, 'version'>): Promise<void> {
    const stored: StoredTokens = { ...tokens, version: randomUUID() };
    const put = (): Promise<unknown> =>
      store.put(keyOf(stored), sealer.seal(JSON.stringify(stored)), LIFETIME);
    await twice(put);
  }

  async function save(owner: Owner & { subject: string }, tokens: UpstreamTokens): Promise<void> {
    // Some give a refresh token the first time only.
    const before = tokens.refreshToken === undefined ? await read(owner) : undefined;
    const kept = before?.subject === owner.subject ? before.refreshToken : undefined;
    await write({ ...tokens, ...owner, refreshToken: tokens.refreshToken ?? kept });
  }

  async function get(owner: Owner): Promise<ProviderTokens | undefined> {
    const own = upstreams.get(owner.providerId);
    if (!own) throw new TypeError(`there is no provider ${owner.providerId}`);
    const turnLength = own.timeout + REFRESH_GRACE;
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
      // Somebody else is at it, in whatever process.
      await sleep(POLL);
    }
    throw unavailable(owner);
  }

  async function refreshed(
    own: Upstream,
    stored: StoredTokens,
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
    // A sign-in in between has brought newer ones.
    const current = await twice(() => read(stored)).catch(() => stored);
    if (current?.version !== version) return current && shown(current);
    if (tokens) {
      const next = { ...stored, ...tokens, scope: tokens.scope ?? stored.scope, failedAt: undefined };
      // They are good now; what could not be kept was an event.
      await write(next).catch(() => undefined);
      return shown(next);
    }
    // The user, or the provider, has taken it back.
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

/** Worth a second try: the provider has made the tokens before these void. */
async function twice<T>(run: () => Promise<T>): Promise<T> {
  return run().catch(run);
}

/** Names of users may be long, and may be anything. */
function keyOf({ userId, providerId }: Owner): string {
  const hash = createHash('sha256').update(JSON.stringify([userId, providerId]));
  return `provider-tokens:${hash.digest('base64url')}`;
}

function unavailable({ providerId }: Owner): OAuthError {
  return new OAuthError('temporarily_unavailable', `The provider ${providerId} does not answer`);
}

function shown({ accessToken, tokenType, scope, expiresAt }: UpstreamTokens): ProviderTokens {
  return { accessToken, tokenType, scope, expiresAt };
}
