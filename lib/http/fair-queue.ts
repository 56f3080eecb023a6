import { randomInt } from 'node:crypto';

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
 * has waited longest for its turn; where these are equal it is one of the newest, by lot: the very newest are often those that come
 * back as soon as they are answered, and would always be ahead of one that comes once. So whoever keeps many tasks waiting delays
 * nobody but themselves. It cannot tell apart who comes from very many sources, or all through one proxy: that is for a rate limit. If the
 * queue is full, the busiest source loses its oldest task.
 */
export function createFairQueue(options: {
  concurrent: number;
  maximumLength: number;
  maximumLengthOfSubject: number;
  /** How many tasks of one subject run at once. @defaultValue `concurrent` */
  concurrentOfSubject?: number;
  full: () => Error;
}): FairQueue {
  const { concurrent, maximumLength, maximumLengthOfSubject, full } = options;
  const { concurrentOfSubject = concurrent } = options;
  const waiting: Waiter[] = [];
  const turns = new LRUCache<string, number>({ max: REMEMBERED });
  /** How many tasks of each subject run. */
  const running = new Map<string, number>();
  let total = 0;
  let turn = 0;

  const runningOf = (subject: string): number => running.get(subject) ?? 0;
  const mayRun = ({ subject }: RunOrigin): boolean =>
    total < concurrent && runningOf(subject) < concurrentOfSubject;

  /** Twice as many as may be on their way back when another task comes: once they are back, it still takes part in the lot. */
  const amongNewest = 2 * concurrentOfSubject;

  function next(): Waiter | undefined {
    const ofSubject = longestWithoutTurn(waiting.filter(mayRun), ({ subject }) => subject);
    const newest = longestWithoutTurn(ofSubject, nameOf).slice(-amongNewest);
    if (newest.length === 0) return undefined;
    const chosen = newest[randomInt(newest.length)];
    return chosen && waiting.splice(waiting.indexOf(chosen), 1)[0];
  }

  function longestWithoutTurn(
    waiters: readonly Waiter[],
    nameOfOrigin: (origin: RunOrigin) => string,
  ): Waiter[] {
    const lastTurns = waiters.map((waiter) => turns.get(nameOfOrigin(waiter)) ?? 0);
    const first = Math.min(...lastTurns);
    return waiters.filter((_, position) => lastTurns[position] === first);
  }

  function started({ subject, source }: RunOrigin): void {
    running.set(subject, runningOf(subject) + 1);
    total++;
    turn++;
    turns.set(subject, turn);
    turns.set(nameOf({ subject, source }), turn);
  }

  function ended({ subject }: RunOrigin): void {
    const left = runningOf(subject) - 1;
    if (left > 0) running.set(subject, left);
    else running.delete(subject);
    total--;
  }

  function makeRoom({ subject }: RunOrigin): void {
    const ofSubject = waiting.filter((waiter) => waiter.subject === subject);
    if (ofSubject.length >= maximumLengthOfSubject) refuseOldest(ofSubject);
    else if (waiting.length >= maximumLength) refuseOldest(waiting);
  }

  /** Refuses the oldest task of the source that has the most of these tasks. */
  function refuseOldest(tasks: readonly Waiter[]): void {
    const counts = new Map<string, number>();
    for (const task of tasks) counts.set(nameOf(task), (counts.get(nameOf(task)) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const oldest = tasks.find((task) => counts.get(nameOf(task)) === most);
    if (!oldest) return;
    waiting.splice(waiting.indexOf(oldest), 1);
    oldest.refuse();
  }

  async function wait(origin: RunOrigin): Promise<void> {
    if (mayRun(origin)) return started(origin);
    makeRoom(origin);
    await new Promise<void>((start, reject) => {
      waiting.push({ ...origin, start, refuse: () => reject(full()) });
    });
  }

  return async (origin, task) => {
    await wait(origin);
    try {
      return await task();
    } finally {
      ended(origin);
      const waiter = next();
      if (waiter) {
        // Counted before it wakes up, so that nobody takes its slot.
        started(waiter);
        waiter.start();
      }
    }
  };
}

function nameOf({ subject, source }: RunOrigin): string {
  return `${subject}\n${source}`;
}
