import { setImmediate as nextTurn } from 'node:timers/promises';

import { createFairQueue } from '../../lib/http/fair-queue';

describe('the queue of tasks that strangers cause', () => {
  it.each([1, 5])(
    'those that come back at once do not overtake one that comes once, %d at a time',
    async (concurrent) => {
      const queue = createFairQueue({
        concurrent,
        maximumLength: 100,
        maximumLengthOfSubject: 100,
        full: () => new Error('full'),
      });
      const origin = { subject: 'a hash', source: 'an address' };
      let runs = 0;
      let isOver = false;
      let once: Promise<number> | undefined;
      const comeBack = async (): Promise<void> => {
        while (!isOver) {
          await queue(origin, async () => {
            await nextTurn();
            runs++;
          });
          // After the next task began, and before this one is back: from now on there is always a newer one.
          if (runs >= 100 && once === undefined) {
            const before = runs;
            once = queue(origin, () => Promise.resolve(runs - before)).finally(() => {
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
