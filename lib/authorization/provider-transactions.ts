import { randomBytes } from 'node:crypto';

import type { Request } from 'express';

import type { Store } from '../adapters/store';
import { sha256 } from '../digest';
import type { BrowserBinding } from '../federation/browser-binding';
import type { ProviderIdentity } from '../federation/identity';
import type { UpstreamChecks, UpstreamTokens } from '../federation/upstream';
import type { LinkPermission } from '../linking/tickets';
import type { SealedJson } from '../tokens/sealed-json';
import type { Progress } from './progress';

/** A sign-in at a provider: everything that must be known when the browser comes back. */
export interface ProviderTransaction {
  readonly providerId: string;
  readonly type: 'authenticate' | 'link';
  /** The user that the client's `token` identified, and what the token allowed. */
  readonly current: LinkPermission | undefined;
  /** The progress of the authorization request. A parked request is spent when it is completed. */
  readonly progress: Progress;
  /** The parameters of the authorization request. */
  readonly entries: readonly [string, string][];
  readonly checks: UpstreamChecks;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
  /** The account at the provider, while the user is asked whether to link it. */
  readonly identified?: IdentifiedUser | undefined;
}

/** A user whom a provider has identified. */
export interface IdentifiedUser {
  readonly identity: ProviderIdentity;
  readonly tokens: UpstreamTokens;
}

/** Stores transactions. Each belongs to one browser and can be taken once. */
export interface ProviderTransactions {
  /** Creates the id of a transaction, which is `state` at the provider. */
  newId(): string;
  /** Stores a transaction for `lifetime` seconds. */
  save(id: string, transaction: ProviderTransaction, lifetime: number): Promise<void>;
  /** Takes a transaction. Returns `undefined` if it is unknown, was taken before, or was begun in another browser. */
  take(req: Request, id: string): Promise<ProviderTransaction | undefined>;
}

/** How long an expired transaction is kept, so that a late user can be sent back to the app. Seconds. */
export const TRANSACTION_GRACE = 600;

export function createProviderTransactions(options: {
  binding: BrowserBinding;
  sealed: SealedJson<ProviderTransaction>;
  store: Pick<Store, 'put' | 'take'>;
}): ProviderTransactions {
  const { binding, sealed, store } = options;
  // Hashed, so that the store contains no `state` that could be used.
  const keyOf = (id: string): string => `federation:${sha256(id)}`;

  return {
    newId: () => randomBytes(32).toString('base64url'),
    save: async (id, transaction, lifetime) => {
      await store.put(keyOf(id), sealed.seal(transaction), lifetime + TRANSACTION_GRACE);
    },
    take: async (req, id) => {
      // Checked first, so that another browser cannot take it.
      if (!binding.isBound(req, id)) return undefined;
      return sealed.open(await store.take(keyOf(id)));
    },
  };
}
