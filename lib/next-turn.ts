import { setImmediate } from 'node:timers/promises';

/**
 * Resolves in the next turn of the event loop. The function is taken when the library is loaded: a test that controls the time replaces that
 * of the module later.
 */
export const nextTurn: () => Promise<void> = setImmediate;
