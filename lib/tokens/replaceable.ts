/** A list of secrets or keys that can be replaced while the server runs. */
export interface Replaceable<T> {
  /** The list, whose identity changes when it is replaced. */
  readonly current: readonly T[];
  replace(next: readonly T[]): void;
  /** Calls a function whenever the list has been replaced. */
  onReplace(listener: () => void): void;
}

export function replaceable<T>(initial: readonly T[]): Replaceable<T> {
  let current = initial;
  const listeners: (() => void)[] = [];
  return {
    get current() {
      return current;
    },
    replace: (next) => {
      current = next;
      for (const listener of listeners) listener();
    },
    onReplace: (listener) => void listeners.push(listener),
  };
}

/** Returns a function that converts the current list: once, until it is another list. */
export function converted<T, U>(current: () => T, convert: (list: T) => U): () => U {
  let known: { readonly list: T; readonly result: U } | undefined;
  return () => {
    const list = current();
    if (known?.list !== list) known = { list, result: convert(list) };
    return known.result;
  };
}
