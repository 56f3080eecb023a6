import assert from 'node:assert/strict';

import {
  ALIKE,
  assertNothing,
  assertOneWinnerEach,
  AWKWARD,
  LONG,
  racers,
  RACES,
  unique,
  winners,
  type DefineTest,
  type TestFunctions,
} from './harness';

export function testSetOnce({ describe }: TestFunctions, test: DefineTest): void {
  describe('setOnce', () => {
    test('is true the first time only', [], async ({ adapter }) => {
      const key = unique();
      assert.equal(await adapter.setOnce(key, 60), true);
      assert.equal(await adapter.setOnce(key, 60), false);
      assert.equal(await adapter.setOnce(unique(), 60), true);
    });

    test('only one of many concurrent calls returns true', [], async ({ adapter }) => {
      const key = unique();
      const results = await Promise.all(racers(() => adapter.setOnce(key, 60)));
      assert.equal(results.filter(Boolean).length, 1);
    });

    test('keeps a key for its ttl, and not longer', [], async ({ adapter, pass }) => {
      const [short, long] = [unique(), unique()];
      await adapter.setOnce(short, 1);
      await adapter.setOnce(long, 60);
      await pass(1.2);
      assert.equal(await adapter.setOnce(long, 60), false);
      assert.equal(await adapter.setOnce(short, 60), true);
    });

    test('a second call does not keep a key for longer', [], async ({ adapter, pass }) => {
      const key = unique();
      assert.equal(await adapter.setOnce(key, 2), true);
      await pass(1);
      assert.equal(await adapter.setOnce(key, 60), false);
      await pass(1.2);
      assert.equal(await adapter.setOnce(key, 60), true);
    });

    test('only one of many concurrent calls takes an expired key over', [], async ({ adapter, pass }) => {
      const key = unique();
      await adapter.setOnce(key, 1);
      await pass(1.2);
      const results = await Promise.all(racers(() => adapter.setOnce(key, 60)));
      assert.equal(results.filter(Boolean).length, 1);
    });

    test('only one of two processes sets a key, new or expired', ['other'], async (parts) => {
      const keys = Array.from({ length: RACES }, unique);
      // Long enough for the whole race, on a busy machine too.
      assertOneWinnerEach(await winners(parts, keys, (own, key) => own.setOnce(key, 6)));
      await parts.pass(6.2);
      assertOneWinnerEach(await winners(parts, keys, (own, key) => own.setOnce(key, 60)));
    });

    test('keys that are alike are kept apart', [], async ({ adapter }) => {
      for (const [one, other] of ALIKE) {
        const base = unique();
        assert.equal(await adapter.setOnce(base + one, 60), true);
        assert.equal(await adapter.setOnce(base + other, 60), true);
      }
    });

    test(
      'a key may be kept for a long time, and survives the clean-up',
      ['sweep'],
      async ({ adapter, pass, sweep }) => {
        const key = unique();
        await adapter.setOnce(key, LONG);
        await pass(1.2);
        await sweep(86_400);
        assert.equal(await adapter.setOnce(key, 60), false);
      },
    );
  });
}

export function testValues({ describe }: TestFunctions, test: DefineTest): void {
  describe('put, get and take', () => {
    test('return a value unchanged, even if it is long', [], async ({ adapter }) => {
      for (const value of ['1', '{"a":"ü😀"}', 'x'.repeat(100_000)]) {
        const key = unique();
        await adapter.put(key, value, 60);
        assert.equal(await adapter.get(key), value);
        assert.equal(await adapter.get(key), value);
      }
    });

    test('put replaces the value and its time', [], async ({ adapter, pass }) => {
      const key = unique();
      await adapter.put(key, 'a', 1);
      await adapter.put(key, 'b', 60);
      await pass(1.2);
      assert.equal(await adapter.get(key), 'b');
    });

    test('a value expires after its ttl', [], async ({ adapter, pass }) => {
      const key = unique();
      await adapter.put(key, 'a', 1);
      await pass(1.2);
      assertNothing(await adapter.get(key));
      assertNothing(await adapter.take(key));
    });

    test('only one of many concurrent calls of take gets the value', [], async ({ adapter }) => {
      const key = unique();
      await adapter.put(key, 'a', 60);
      const results = await Promise.all(racers(() => adapter.take(key)));
      assert.deepEqual(
        results.filter((value) => value !== undefined && value !== null),
        ['a'],
      );
      assertNothing(await adapter.get(key));
    });

    test('awkward keys are kept apart, from each other and from setOnce', [], async ({ adapter }) => {
      const keys = AWKWARD.map((name) => unique() + name);
      for (const key of keys) await adapter.put(key, `value of ${key}`, 60);
      for (const key of keys) assert.equal(await adapter.setOnce(key, 60), true);
      for (const key of keys) assert.equal(await adapter.take(key), `value of ${key}`);
    });

    test('put replaces a value by one that is kept for less time', [], async ({ adapter, pass }) => {
      const key = unique();
      await adapter.put(key, 'a', 60);
      await adapter.put(key, 'b', 1);
      assert.equal(await adapter.get(key), 'b');
      await pass(1.2);
      assertNothing(await adapter.get(key));
    });

    test('keys that are alike are kept apart', [], async ({ adapter }) => {
      for (const [one, other] of ALIKE) {
        const base = unique();
        await adapter.put(base + one, 'one', 60);
        assertNothing(await adapter.get(base + other));
        assertNothing(await adapter.take(base + other));
        assert.equal(await adapter.get(base + one), 'one');
      }
    });

    test('a value may be kept for a long time', [], async ({ adapter, pass }) => {
      const key = unique();
      await adapter.put(key, 'a', LONG);
      await pass(1.2);
      assert.equal(await adapter.get(key), 'a');
    });

    test('the clean-up deletes no value whose time is not over', ['sweep'], async ({ adapter, sweep }) => {
      const [replaced, long] = [unique(), unique()];
      await adapter.put(replaced, 'a', 1);
      await adapter.put(replaced, 'b', LONG);
      await adapter.put(long, 'c', LONG);
      await sweep(86_400);
      assert.deepEqual([await adapter.get(replaced), await adapter.get(long)], ['b', 'c']);
    });

    test('only one of two processes takes a value', ['other'], async (parts) => {
      const { adapter } = parts;
      const keys = Array.from({ length: RACES }, unique);
      await Promise.all(keys.map((key) => adapter.put(key, 'a', 60)));
      assertOneWinnerEach(await winners(parts, keys, async (own, key) => (await own.take(key)) === 'a'));
    });
  });
}
