import { setTimeout as sleep } from 'node:timers/promises';

import type { Store } from '../adapters/store';
import type { SealedJson } from '../tokens/sealed-json';

/** The completion of a request that gives one code only. */
export interface Completion {
  readonly grantId: string;
  readonly userId: string | undefined;
  readonly scope: readonly string[];
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Remembers the requests that have given their code. */
export interface CompletedRequests {
  /**
   * Marks a request as completed, for `lifetime` seconds. Of concurrent callers, one gets `true`: any other code for the request
   * must not be used.
   */
  complete(onceId: string, completion: Completion, lifetime: number): Promise<boolean>;
  /**
   * Returns the earlier completion, if this is the same decision of the same user within some seconds: a second click, or a second
   * tab.
   */
  repeated(onceId: string, completion: Completion): Promise<Completion | undefined>;
  /** Whether a request was completed so long ago that it is not repeated. */
  isOver(onceId: string): Promise<boolean>;
}

/** How long the same answer is repeated. Milliseconds. */
const REPEAT_WINDOW = 10_000;
/** How long a second click waits for the record of the first, and how long apart it looks. Milliseconds. */
const PATIENCE = 500;
const PAUSE = 50;

export function createCompletedRequests(options: {
  store: Pick<Store, 'put' | 'get' | 'setOnce'>;
  sealed: SealedJson<Completion>;
  /** Seconds. */
  storeTimeout: number;
  clock: () => number;
}): CompletedRequests {
  const { store, sealed, storeTimeout, clock } = options;

  const find = async (onceId: string): Promise<Completion | undefined> =>
    sealed.open(await store.get(completionKey(onceId)));
  const isRecent = ({ at }: Completion): boolean => Math.abs(clock() - at) < REPEAT_WINDOW;

  /**
   * Marks a request. If the answer of the store is lost, the mark is ours unless somebody else records a completion: for as long as the
   * store may take to do that.
   */
  async function isFirst(onceId: string, lifetime: number): Promise<boolean> {
    const mark = (): Promise<boolean> => store.setOnce(`completed:${onceId}`, lifetime);
    try {
      return await mark();
    } catch {
      return (await mark()) || (await recorded(onceId, storeTimeout * 1000 + PATIENCE)) === undefined;
    }
  }

  /** Waits for the record of a concurrent completion, which is written right after its mark. */
  async function recorded(onceId: string, patience = PATIENCE): Promise<Completion | undefined> {
    const end = performance.now() + patience;
    let found = await find(onceId);
    while (!found && performance.now() < end) {
      await sleep(PAUSE);
      found = await find(onceId);
    }
    return found;
  }

  return {
    complete: async (onceId, completion, lifetime) => {
      if (!(await isFirst(onceId, lifetime))) return false;
      // Without the record, a second click gets an error: that is no reason to refuse this code.
      await store.put(completionKey(onceId), sealed.seal(completion), lifetime).catch(() => undefined);
      return true;
    },
    repeated: async (onceId, { userId, scope }) => {
      const earlier = await recorded(onceId);
      const isSame = earlier?.userId === userId && earlier?.scope.join(' ') === scope.join(' ');
      return earlier && isSame && isRecent(earlier) ? earlier : undefined;
    },
    isOver: async (onceId) => {
      const earlier = await find(onceId);
      return earlier !== undefined && !isRecent(earlier);
    },
  };
}

function completionKey(onceId: string): string {
  return `completion:${onceId}`;
}
