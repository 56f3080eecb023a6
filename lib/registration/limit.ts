import type { Request } from 'express';
import { LRUCache } from 'lru-cache';

import type { Store } from '../adapters/store';
import { OAuthError, serverError } from '../errors';
import { callHostSync } from '../host/call';
import { networkOf } from '../http/network';

/** Returns the source that registrations are counted for, or nothing for one that is not limited. */
export type RegistrationSource = (req: Request) => string | undefined;

/** Counts a registration, or a change of one. @throws OAuthError `too_many_requests` */
export type CountRegistration = (req: Request) => Promise<void>;

/** Seconds. */
const WINDOW = 3600;
const REMEMBERED_SOURCES = 10_000;

/**
 * Limits the registrations of each source to a number an hour, in all processes together: each registration takes a numbered place of
 * its source and hour. A process that knows that the first places are taken does not ask for them again.
 */
export function createCountRegistration(options: {
  limit: number;
  sourceOf: RegistrationSource | undefined;
  store: Pick<Store, 'setOnce'>;
  clock: () => number;
}): CountRegistration {
  const { limit, sourceOf = (req): string => networkOf(req.ip), store, clock } = options;
  const taken = new LRUCache<string, number>({ max: REMEMBERED_SOURCES });

  return async (req) => {
    const source: unknown = callHostSync('registration.sourceOf', () => sourceOf(req));
    if (source === undefined) return;
    if (typeof source !== 'string')
      throw serverError(new TypeError('registration.sourceOf must return a string'));
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
