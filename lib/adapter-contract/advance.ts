import assert from 'node:assert/strict';

import type { StoredGrant } from '../adapters/contract';
import {
  assertNothing,
  assertOneWinnerEach,
  assertSame,
  HOUR,
  newGrant,
  racers,
  RACES,
  winners,
  type DefineTest,
  type TestFunctions,
} from './harness';

export function testAdvanceGrant({ describe }: TestFunctions, test: DefineTest): void {
  describe('advanceGrant', () => {
    test('stores the next record if the generation is the stored one', [], async ({ adapter }) => {
      const grant = newGrant();
      const next = { ...grant, generation: 1, expiresAt: grant.expiresAt + HOUR, fact: 'new' };
      await adapter.saveGrant(grant);
      assert.equal(await adapter.advanceGrant(grant.id, 0, next), true);
      assertSame(await adapter.getGrant(grant.id), next);
    });

    test('is false, and changes nothing, if the stored generation differs', [], async ({ adapter }) => {
      const grant = { ...newGrant(), generation: 10 };
      await adapter.saveGrant(grant);
      for (const generation of [0, 1, 9, 11, 100]) {
        assert.equal(
          await adapter.advanceGrant(grant.id, generation, { ...grant, generation: generation + 1 }),
          false,
        );
      }
      assertSame(await adapter.getGrant(grant.id), grant);
    });

    test('is false for an unknown grant, and does not create it', [], async ({ adapter }) => {
      const grant = newGrant();
      assert.equal(await adapter.advanceGrant(grant.id, 0, { ...grant, generation: 1 }), false);
      assertNothing(await adapter.getGrant(grant.id));
    });

    test('may keep the generation, and may skip some', [], async ({ adapter }) => {
      const grant = { ...newGrant(), generation: 3 };
      await adapter.saveGrant(grant);
      assert.equal(
        await adapter.advanceGrant(grant.id, 3, { ...grant, expiresAt: grant.expiresAt + 1 }),
        true,
      );
      assert.equal(await adapter.advanceGrant(grant.id, 3, { ...grant, generation: 9_000_000 }), true);
      assert.equal((await adapter.getGrant(grant.id))?.generation, 9_000_000);
    });

    test('only one of many concurrent calls succeeds, and its record is stored', [], async ({ adapter }) => {
      const grant = newGrant();
      await adapter.saveGrant(grant);
      const results = await Promise.all(
        racers(async (racer) => {
          const won = await adapter.advanceGrant(grant.id, 0, {
            ...grant,
            generation: 1,
            attempt: racer,
          } as StoredGrant);
          return won ? racer : undefined;
        }),
      );
      const winners = results.filter((racer) => racer !== undefined);
      assert.equal(winners.length, 1);
      assert.equal(
        ((await adapter.getGrant(grant.id)) as unknown as { attempt: string }).attempt,
        winners[0],
      );
    });

    test('a record with an extended expiry is kept until the new expiry', [], async ({ adapter, pass }) => {
      const grant = { ...newGrant(), expiresAt: Date.now() + 500 };
      await adapter.saveGrant(grant);
      await adapter.advanceGrant(grant.id, 0, { ...grant, generation: 1, expiresAt: Date.now() + HOUR });
      await pass(1.2);
      assert.equal((await adapter.getGrant(grant.id))?.generation, 1);
    });

    test('only one of two processes wins, for each of many grants', ['other'], async (parts) => {
      const { adapter } = parts;
      const grants = Array.from({ length: RACES }, () => newGrant());
      await Promise.all(grants.map((grant) => adapter.saveGrant(grant)));
      const counts = await winners(parts, grants, (own, grant, racer) =>
        own.advanceGrant(grant.id, 0, { ...grant, generation: 1, clientId: String(racer) }),
      );
      assertOneWinnerEach(counts);
    });

    test(
      'the clean-up deletes a grant whose time is over, by the expiry that was written last',
      ['sweep'],
      async ({ adapter, sweep }) => {
        const expiresAt = Date.now() + 1000;
        const over = { ...newGrant(), expiresAt };
        const extended = { ...newGrant(), expiresAt };
        const shortened = { ...newGrant(), expiresAt };
        for (const grant of [over, extended]) await adapter.saveGrant(grant);
        await adapter.saveGrant({ ...shortened, expiresAt: Date.now() + 48 * HOUR });
        const next = { ...extended, generation: 1, expiresAt: Date.now() + 48 * HOUR };
        await adapter.advanceGrant(extended.id, 0, next);
        await adapter.advanceGrant(shortened.id, 0, shortened);
        await sweep(86_400);
        assertNothing(await adapter.getGrant(over.id));
        assertNothing(await adapter.getGrant(shortened.id));
        assertSame(await adapter.getGrant(extended.id), next);
      },
    );
  });
}

export function testGrantAge({ describe }: TestFunctions, test: DefineTest): void {
  describe('the age of a grant', () => {
    test('is that of its generation, if the adapter tells it', [], async ({ adapter, pass }) => {
      const grant = newGrant();
      const ageAfter = async (generation: number, next: number): Promise<number | null | undefined> => {
        await adapter.advanceGrant(grant.id, generation, { ...grant, generation: next });
        return (await adapter.getGrant(grant.id))?.age;
      };
      await adapter.saveGrant(grant);
      const young = await ageAfter(0, 1);
      // It is optional.
      if (young === undefined || young === null) return;
      await pass(1.2);
      const old = await ageAfter(1, 1);
      const youngAgain = await ageAfter(1, 2);
      assert.deepEqual(
        [young >= 0 && young < 1000, Number(old) >= 1000 && Number(old) < 60_000, Number(youngAgain) < 1000],
        [true, true, true],
      );
    });
  });
}
