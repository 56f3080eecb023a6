import assert from 'node:assert/strict';

import {
  ALIKE,
  assertGrants,
  assertNothing,
  assertOneWinnerEach,
  assertSame,
  AWKWARD,
  HOUR,
  LONG,
  newGrant,
  racers,
  RACES,
  swapCase,
  unique,
  winners,
  type DefineTest,
  type TestFunctions,
} from './harness';

export function testSaveGrant({ describe }: TestFunctions, test: DefineTest): void {
  describe('saveGrant and getGrant', () => {
    test('return a grant unchanged, with all further members of the record', [], async ({ adapter }) => {
      const grant = { ...newGrant(), scope: ['a', 'ü'], nested: { list: [1, null, true], empty: [] } };
      await adapter.saveGrant(grant);
      assertSame(await adapter.getGrant(grant.id), grant);
    });

    test('getGrant returns undefined or null for an unknown grant', [], async ({ adapter }) => {
      assertNothing(await adapter.getGrant(unique()));
    });

    test('saveGrant throws if the id exists, and changes nothing', [], async ({ adapter }) => {
      const grant = newGrant();
      await adapter.saveGrant(grant);
      await assert.rejects(async () => {
        await adapter.saveGrant({ ...grant, clientId: 'another' });
      });
      assertSame(await adapter.getGrant(grant.id), grant);
    });

    test('only one of many concurrent inserts of the same id succeeds', [], async ({ adapter }) => {
      const grant = newGrant();
      const results = await Promise.allSettled(
        racers(async (racer) => {
          await adapter.saveGrant({ ...grant, clientId: racer });
        }),
      );
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    });

    test('changes that a caller makes to its objects do not reach the store', [], async ({ adapter }) => {
      const grant = { ...newGrant(), scope: ['a'] };
      await adapter.saveGrant(grant);
      grant.scope.push('b');
      const read = (await adapter.getGrant(grant.id)) as unknown as { scope: string[] };
      read.scope.push('c');
      assertSame(await adapter.getGrant(grant.id), { ...grant, scope: ['a'] });
    });

    test('grants are kept apart', [], async ({ adapter }) => {
      const grants = [newGrant(), newGrant(), newGrant()];
      await Promise.all(grants.map((grant) => adapter.saveGrant(grant)));
      for (const grant of grants) assertSame(await adapter.getGrant(grant.id), grant);
    });

    test('a grant without a user has none when it is read', [], async ({ adapter }) => {
      const grant = newGrant(null);
      await adapter.saveGrant(grant);
      assertSame(await adapter.getGrant(grant.id), grant);
      await adapter.saveGrant(newGrant(null));
    });

    test('ids that differ in case are kept apart', [], async ({ adapter }) => {
      const grant = newGrant();
      const other = { ...newGrant(), id: swapCase(grant.id) };
      await adapter.saveGrant(grant);
      assertNothing(await adapter.getGrant(other.id));
      assert.equal(await adapter.advanceGrant(other.id, 0, { ...other, generation: 1 }), false);
      assert.equal(await adapter.revokeGrant(other.id), false);
      await adapter.saveGrant(other);
      assertSame(await adapter.getGrant(grant.id), grant);
    });

    test('a grant may last for a long time', [], async ({ adapter, pass }) => {
      const expiresAt = Date.now() + LONG * 1000;
      const [grant, advanced] = [
        { ...newGrant(), expiresAt },
        { ...newGrant(), expiresAt },
      ];
      await adapter.saveGrant(grant);
      await adapter.saveGrant({ ...advanced, expiresAt: Date.now() + 1000 });
      await adapter.advanceGrant(advanced.id, 0, advanced);
      await pass(1.2);
      assertSame(await adapter.getGrant(grant.id), grant);
      assertSame(await adapter.getGrant(advanced.id), advanced);
    });

    test('only one of two processes inserts an id', ['other'], async (parts) => {
      const grants = Array.from({ length: RACES }, () => newGrant());
      const counts = await winners(parts, grants, async (own, grant, racer) => {
        await own.saveGrant({ ...grant, clientId: String(racer) });
        return true;
      });
      assertOneWinnerEach(counts);
    });
  });
}

export function testRevokeGrant({ describe }: TestFunctions, test: DefineTest): void {
  describe('revokeGrant', () => {
    test('deletes a grant, and returns whether it existed', [], async ({ adapter }) => {
      const grant = newGrant();
      await adapter.saveGrant(grant);
      assert.equal(await adapter.revokeGrant(grant.id), true);
      assertNothing(await adapter.getGrant(grant.id));
      assert.equal(await adapter.revokeGrant(grant.id), false);
    });

    test('a revoked grant is not brought back by advanceGrant', [], async ({ adapter }) => {
      const grant = newGrant();
      await adapter.saveGrant(grant);
      await Promise.all([
        ...racers(() => adapter.advanceGrant(grant.id, 0, grant)),
        adapter.revokeGrant(grant.id),
        ...racers(() => adapter.advanceGrant(grant.id, 0, grant)),
      ]);
      assertNothing(await adapter.getGrant(grant.id));
    });
  });
}

export function testListGrants({ describe }: TestFunctions, test: DefineTest): void {
  describe('listGrants', () => {
    test(
      'returns all grants of a user, and no grants of other users',
      ['listGrants'],
      async ({ adapter }) => {
        const [user, other] = [unique(), unique()];
        const [code, redeemed, revoked, foreign] = [
          newGrant(user),
          newGrant(user),
          newGrant(user),
          newGrant(other),
        ];
        for (const grant of [code, redeemed, revoked, foreign]) await adapter.saveGrant(grant);
        const next = { ...redeemed, generation: 1, expiresAt: redeemed.expiresAt + HOUR };
        await adapter.advanceGrant(redeemed.id, 0, next);
        await adapter.revokeGrant(revoked.id);
        assertGrants(await adapter.listGrants(user), [code, next]);
        assertGrants(await adapter.listGrants(unique()), []);
      },
    );

    test('finds a grant that got its user when it was advanced', ['listGrants'], async ({ adapter }) => {
      const user = unique();
      const grant = newGrant(null);
      const next = { ...grant, generation: 1, userId: user };
      await adapter.saveGrant(grant);
      assert.equal(await adapter.advanceGrant(grant.id, 0, next), true);
      assertGrants(await adapter.listGrants(user), [next]);
    });

    test('keeps users with awkward names apart', ['listGrants'], async ({ adapter }) => {
      const grants = AWKWARD.map((name) => newGrant(unique() + name));
      for (const grant of grants) await adapter.saveGrant(grant);
      for (const grant of grants) assertGrants(await adapter.listGrants(grant.userId ?? ''), [grant]);
    });

    test('finds every one of many grants', ['listGrants'], async ({ adapter }) => {
      const user = unique();
      const grants = Array.from({ length: 230 }, () => newGrant(user));
      await Promise.all(grants.map((grant) => adapter.saveGrant(grant)));
      assert.equal((await adapter.listGrants(user)).length, grants.length);
    });

    test('names of users that are alike are kept apart', ['listGrants'], async ({ adapter }) => {
      for (const [one, other] of ALIKE) {
        const base = unique();
        const grants = [one, other].map((name) => newGrant(base + name));
        for (const grant of grants) await adapter.saveGrant(grant);
        for (const grant of grants) assertGrants(await adapter.listGrants(grant.userId ?? ''), [grant]);
      }
    });

    test('a grant without a user belongs to nobody', ['listGrants'], async ({ adapter }) => {
      const { id } = newGrant(null);
      await adapter.saveGrant({ ...newGrant(null), id });
      for (const name of ['null', 'undefined', '']) {
        const listed = await adapter.listGrants(name);
        assert.equal(
          listed.some((grant) => grant.id === id),
          false,
        );
      }
    });
  });
}
