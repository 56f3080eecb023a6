import { LRUCache } from 'lru-cache';

import type { Store } from '../adapters/store';
import { OAuthError } from '../errors';

/** Counts a registration of a source. @throws OAuthError `too_many_requests` */
export type RegistrationLimit = (source: string) => Promise<void>;

/** Seconds. */
const WINDOW = 3600;
const REMEMBERED_SOURCES = 10_000;

/**
 * Limits the registrations of each source to a number an hour, in all processes together: each registration takes a numbered place of
 * its source and hour. A process that knows that the first places are taken does not ask for them again.
 */
export function createRegistrationLimit(options: {
  limit: number;
  store: Pick<Store, 'setOnce'>;
  clock: () => number;
}): RegistrationLimit {
  const { limit, store, clock } = options;
  const taken = new LRUCache<string, number>({ max: REMEMBERED_SOURCES });

  return async (source) => {
    const now = clock() / 1000;
    const hour = Math.floor(now / WINDOW);
    const name = JSON.stringify([hour, source]);
    for (let place = taken.get(name) ?? 0; place < limit; place++) {
      const isMine = await store.setOnce(`registration:${name}:${place}`, WINDOW);
      taken.set(name, Math.max(taken.get(name) ?? 0, place + 1));
      if (isMine) return;
    }
    const retryAfter = (hour + 1) * WINDOW - now;
    throw new OAuthError('too_many_requests', 'Too many registrations', {
      retryAfter,
      reason: 'registration limit',
    });
  };
}
