import { LRUCache } from 'lru-cache';

/** The origin of a run: what it is about, and who caused it. */
export interface RunOrigin {
  /** For example the hash that a secret is compared with. */
  readonly subject: string;
  /** For example the address of the client. */
  readonly source: string;
}

/** Runs a task when it is its turn. @throws the result of `full` if too many tasks wait */
export type FairQueue = <T>(origin: RunOrigin, task: () => Promise<T>) => Promise<T>;

interface Waiter extends RunOrigin {
  start(): void;
  refuse(): void;
}

/** How many subjects and sources are remembered. */
const REMEMBERED = 1000;

/**
 * Creates a queue for expensive tasks that strangers cause. The next task is that of the subject, and within it of the source, that
 * has waited longest for its turn: whoever causes many tasks waits for each of them, and delays nobody else. If the queue of a
 * subject is full, the source with the most tasks in it loses its newest task.
 */
export function createFairQueue(options: {
  concurrent: number;
  maximumLength: number;
  maximumLengthOfSubject: number;
  full: () => Error;
}): FairQueue {
  const { concurrent, maximumLength, maximumLengthOfSubject, full } = options;
  const waiting: Waiter[] = [];
  const turns = new LRUCache<string, number>({ max: REMEMBERED });
  let running = 0;
  let turn = 0;

  const lastTurn = (...names: string[]): number => turns.get(names.join('\n')) ?? 0;

  function next(): Waiter | undefined {
    const [first] = waiting
      .map((waiter, position) => ({
        position,
        order: [lastTurn(waiter.subject), lastTurn(waiter.subject, waiter.source), position],
      }))
      .sort((one, other) => compare(one.order, other.order));
    return first && waiting.splice(first.position, 1)[0];
  }

  function started({ subject, source }: RunOrigin): void {
    turn++;
    turns.set(subject, turn);
    turns.set([subject, source].join('\n'), turn);
  }

  /** Makes room for a task. Returns `false` if the task itself is the one to refuse. */
  function makeRoom({ subject, source }: RunOrigin): boolean {
    const ofSubject = waiting.filter((waiter) => waiter.subject === subject);
    if (ofSubject.length < maximumLengthOfSubject && waiting.length < maximumLength) return true;
    const counts = new Map<string, number>();
    for (const waiter of ofSubject) counts.set(waiter.source, (counts.get(waiter.source) ?? 0) + 1);
    const [busiest, most] = [...counts].reduce((one, other) => (other[1] > one[1] ? other : one), ['', 0]);
    if (most <= (counts.get(source) ?? 0) + 1) return false;
    const loser = waiting.findLastIndex((waiter) => waiter.subject === subject && waiter.source === busiest);
    waiting.splice(loser, 1)[0]?.refuse();
    return true;
  }

  async function wait(origin: RunOrigin): Promise<void> {
    if (running < concurrent) {
      running++;
      return;
    }
    if (!makeRoom(origin)) throw full();
    await new Promise<void>((start, reject) => {
      waiting.push({ ...origin, start, refuse: () => reject(full()) });
    });
  }

  return async (origin, task) => {
    await wait(origin);
    started(origin);
    try {
      return await task();
    } finally {
      // The slot passes to the next in the queue, or is released.
      const waiter = next();
      if (waiter) waiter.start();
      else running--;
    }
  };
}

function compare(some: readonly number[], others: readonly number[]): number {
  const difference = some.findIndex((value, position) => value !== others[position]);
  return (some[difference] ?? 0) - (others[difference] ?? 0);
}
