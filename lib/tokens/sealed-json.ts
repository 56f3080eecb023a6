import type { Sealer } from './keys';

/** Values that leave this server and must come back unchanged: in a URL, in a form, or in the store. */
export interface SealedJson<T> {
  /** Seals a value. `expiresAt`, in epoch milliseconds, limits how long it can be opened. */
  seal(value: T, expiresAt?: number): string;
  /** Returns the value, or `undefined` if the text is missing, was not sealed here for this purpose, or has expired. */
  open(sealed: string | undefined): T | undefined;
}

interface Envelope<T> {
  readonly value: T;
  /** Epoch milliseconds. */
  readonly expiresAt?: number;
}

export function createSealedJson<T>(sealer: Sealer, clock: () => number): SealedJson<T> {
  return {
    seal: (value, expiresAt) => sealer.seal(JSON.stringify({ value, expiresAt })),
    open: (sealed) => {
      const text = sealed === undefined ? undefined : sealer.open(sealed);
      if (text === undefined) return undefined;
      const { value, expiresAt = Infinity } = JSON.parse(text) as Envelope<T>;
      return clock() < expiresAt ? value : undefined;
    },
  };
}
