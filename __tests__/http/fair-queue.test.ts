import { setImmediate as nextTurn } from 'node:timers/promises';

import { createFairQueue, type RunOrigin } from '../../lib/http/fair-queue';

describe('the queue of tasks that strangers cause', () => {
  let names = 0;
  it.each([
    { concurrent: 1, of: 'one source', source: () => 'an address' },
    { concurrent: 5, of: 'one source', source: () => 'an address' },
    { concurrent: 1, of: 'sources that were not seen before', source: () => `name ${names++}` },
    { concurrent: 5, of: 'sources that were not seen before', source: () => `name ${names++}` },
  ])(
    'tasks that come back at once do not stay ahead of one that comes once, $concurrent at a time, of $of',
    async ({ concurrent, source }) => {
      const queue = createFairQueue({
        concurrent,
        maximumLength: 100,
        maximumLengthOfSubject: 100,
        full: () => new Error('full'),
      });
      const origin = (): RunOrigin => ({ subject: 'a hash', source: source() });
      let runs = 0;
      let isOver = false;
      let once: Promise<number> | undefined;
      const comeBack = async (): Promise<void> => {
        while (!isOver) {
          await queue(origin(), async () => {
            await nextTurn();
            runs++;
          });
          // After the next task began, and before this one is back: from now on there is always a newer one.
          if (runs >= 100 && once === undefined) {
            const before = runs;
            once = queue(origin(), () => Promise.resolve(runs - before)).finally(() => {
              isOver = true;
            });
          }
          if (runs >= 3000) isOver = true;
        }
      };
      await Promise.all(Array.from({ length: 20 }, comeBack));
      expect(await once).toBeLessThan(400);
    },
  );
});
