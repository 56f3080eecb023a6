import { LRUCache } from 'lru-cache';

import { memoryAdapter } from 'express-oauth-router';

describe('a memory adapter that is full', () => {
  const purge = jest.spyOn(LRUCache.prototype, 'purgeStale');
  beforeEach(() => purge.mockClear());
  afterAll(() => purge.mockRestore());

  it('refuses new keys of setOnce until others are over, and looks for those once a second', async () => {
    let now = Date.now();
    const { setOnce } = memoryAdapter({ clock: () => now, maxEntries: 3 });
    for (const key of ['a', 'b', 'c']) expect(await setOnce(key, 10)).toBe(true);
    for (let count = 0; count < 50; count++)
      await expect(setOnce(`new-${count}`, 10)).rejects.toThrow('full');
    expect(purge).toHaveBeenCalledTimes(1);
    expect(await setOnce('a', 10)).toBe(false);
    now += 10_001;
    expect(await setOnce('a', 10)).toBe(true);
    expect(purge).toHaveBeenCalledTimes(2);
  });

  it('removes keys that are over long before', async () => {
    let now = Date.now();
    const { setOnce } = memoryAdapter({ clock: () => now });
    for (let count = 0; count < 5000; count++) {
      now += 10;
      expect(await setOnce(String(count), 1)).toBe(true);
    }
    const removed = purge.mock.results.map(({ value }) => value as boolean);
    // A hundred are live at a time, and a thousand are kept at most.
    expect(removed).toEqual([true, true, true, true, true]);
  });
});
