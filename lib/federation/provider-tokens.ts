import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Store } from '../adapters/store';
import { OAuthError } from '../errors';
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
  save(owner: Owner, tokens: UpstreamTokens): Promise<void>;
  /** Fresh ones; `undefined` if there are none, or they cannot be refreshed. */
  get(owner: Owner): Promise<ProviderTokens | undefined>;
  delete(owner: Owner): Promise<void>;
}

interface Owner {
  readonly userId: string;
  readonly providerId: string;
}

interface StoredTokens extends Owner, UpstreamTokens {
  /** Another one for each refresh: who refreshes a version does it once. */
  readonly version: string;
}

/** A token that ends sooner is refreshed. Milliseconds. */
const MARGIN = 60_000;
/** How long they are kept without being used. Seconds. */
const LIFETIME = 400 * 86_400;
/** How long one may take to refresh before another one may try, beyond the provider's own time. Seconds. */
const REFRESH_GRACE = 5;
/** Milliseconds. */
const POLL = 50;

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

  async function save({ userId, providerId }: Owner, tokens: UpstreamTokens): Promise<void> {
    const stored: StoredTokens = { ...tokens, userId, providerId, version: randomUUID() };
    await store.put(keyOf(stored), sealer.seal(JSON.stringify(stored)), LIFETIME);
  }

  async function get(owner: Owner): Promise<ProviderTokens | undefined> {
    const own = upstreams.get(owner.providerId);
    if (!own) throw new TypeError(`there is no provider ${owner.providerId}`);
    const patience = 2 * ((own.provider.timeout ?? 10) + REFRESH_GRACE);
    const deadline = performance.now() + patience * 1000;
    while (performance.now() < deadline) {
      const stored = await read(owner);
      if (!stored || isFresh(stored, clock())) return stored && shown(stored);
      if (stored.refreshToken === undefined) return undefined;
      const turn = await store.setOnce(`provider-refresh:${stored.version}`, patience / 2);
      if (turn) return refreshed(own, stored);
      // Somebody else is at it, in whatever process.
      await sleep(POLL);
    }
    throw new OAuthError('temporarily_unavailable', `The provider ${owner.providerId} does not answer`);
  }

  async function refreshed(own: Upstream, stored: StoredTokens): Promise<ProviderTokens | undefined> {
    const tokens = await own.refresh(stored.refreshToken ?? '').catch((thrown: unknown) => {
      const { userId, providerId } = stored;
      reporter.emit('provider.failed', { userId, providerId, cause: (thrown as Error).cause });
      // The user, or the provider, has taken it back.
      if (thrown instanceof OAuthError && thrown.code === 'access_denied') return undefined;
      if (stored.expiresAt !== undefined && clock() < stored.expiresAt) return stored;
      throw thrown;
    });
    if (tokens === stored) return shown(stored);
    // A sign-in in between has brought newer ones.
    const current = await read(stored);
    if (current?.version !== stored.version) return current && shown(current);
    if (!tokens) {
      await remove(stored);
      return undefined;
    }
    await save(stored, { ...tokens, scope: tokens.scope ?? stored.scope });
    return shown(tokens);
  }

  async function remove(owner: Owner): Promise<void> {
    await store.take(keyOf(owner));
  }

  return { save, get, delete: remove };
}

/** Names of users may be long, and may be anything. */
function keyOf({ userId, providerId }: Owner): string {
  const hash = createHash('sha256').update(JSON.stringify([userId, providerId]));
  return `provider-tokens:${hash.digest('base64url')}`;
}

function isFresh({ expiresAt }: UpstreamTokens, now: number): boolean {
  return expiresAt === undefined || now < expiresAt - MARGIN;
}

function shown({ accessToken, tokenType, scope, expiresAt }: UpstreamTokens): ProviderTokens {
  return { accessToken, tokenType, scope, expiresAt };
}
