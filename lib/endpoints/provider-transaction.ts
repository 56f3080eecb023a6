import { createHash, randomBytes } from 'node:crypto';

import type { Request, Response } from 'express';

import type { Store } from '../adapters/store';
import type { BrowserBinding } from '../federation/browser-binding';
import type { LinkTicket } from '../federation/link-tickets';
import type { UpstreamAnswer, UpstreamChecks } from '../federation/upstream';
import type { Sealer } from '../tokens/keys';
import type { Progress } from './resumption';

/** A sign-in through a provider that is under way: what must be known when the browser comes back. */
export interface ProviderTransaction {
  readonly providerId: string;
  readonly type: 'authenticate' | 'link';
  /** Whom the client's `token` was of, and what it was good for. */
  readonly current: LinkTicket | undefined;
  /** The authorization request, whole: what is parked of it is spent when it is complete. */
  readonly progress: Progress;
  readonly entries: readonly [string, string][];
  readonly checks: UpstreamChecks;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** A transaction with what the browser brought back. */
export interface Returned {
  readonly transaction: ProviderTransaction;
  readonly answer: UpstreamAnswer;
}

/** Keeps transactions, each for one browser, and gives each once. */
export interface ProviderTransactions {
  /** Names a transaction: `state` at the provider. */
  newState(): string;
  begin(
    req: Request,
    res: Response,
    state: string,
    transaction: ProviderTransaction,
    /** Seconds; `grace`: that the browser may come back with something later. */
    options: { lifetime: number; grace: number; crossSite: boolean },
  ): Promise<void>;
  /** `undefined` if there is none, it was taken before, or it was begun in another browser. */
  take(req: Request, state: string): Promise<ProviderTransaction | undefined>;
}

/** So that one who comes late can be sent back to the app. Seconds. */
const GRACE = 600;

export function providerTransactions(options: {
  binding: BrowserBinding;
  sealer: Sealer;
  store: Pick<Store, 'put' | 'take'>;
}): ProviderTransactions {
  const { binding, sealer, store } = options;
  // What is in the store names no state that could be used.
  const keyOf = (state: string): string =>
    `federation:${createHash('sha256').update(state).digest('base64url')}`;

  return {
    newState: () => randomBytes(32).toString('base64url'),
    begin: async (req, res, state, transaction, { lifetime, grace, crossSite }) => {
      await store.put(keyOf(state), sealer.seal(JSON.stringify(transaction)), lifetime + GRACE);
      binding.bind(req, res, state, { lifetime: lifetime + Math.max(GRACE, grace), crossSite });
    },
    take: async (req, state) => {
      // First, so that nobody else's browser uses it up.
      if (!binding.isBound(req, state)) return undefined;
      const sealed = await store.take(keyOf(state));
      const text = typeof sealed === 'string' ? sealer.open(sealed) : undefined;
      return text === undefined ? undefined : (JSON.parse(text) as ProviderTransaction);
    },
  };
}
