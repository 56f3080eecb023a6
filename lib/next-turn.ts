import { setImmediate } from 'node:timers/promises';

/**
 * Resolves in the next turn of the event loop. The function is taken when the library is loaded, so that a test that controls the time from
 * then on does not stop it.
 */
export const nextTurn: () => Promise<void> = setImmediate;
