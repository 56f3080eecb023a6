import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import type { Adapter, ClientMetadata, Consent, StoredGrant } from './contract';

/** An adapter for one test. Its storage need not be empty. */
export interface AdapterUnderTest {
  /** The adapter. */
  adapter: Adapter;
  /** Moves the adapter's clock forward. Without this function, the suite waits about a second where time must pass. */
  advance?(seconds: number): void | Promise<void>;
  /** Releases the adapter after the test. */
  close?(): unknown;
}

/** The functions of a test runner, as jest, vitest, mocha and `node:test` have them. */
export interface TestFunctions {
  /** Defines a group of tests. */
  describe(name: string, define: () => void): unknown;
  /** Defines a test. */
  it(name: string, run: () => Promise<void>): unknown;
}

const HOUR = 3_600_000;
const RACERS = 25;

/** Keys and ids that break a careless adapter: separators, braces, glob characters, markup, characters of several bytes. */
const AWKWARD = ['a:b', '{a}', 'a}b{', '*', 'a b', '%', "'; --", '__proto__', 'ü€😀', 'x'.repeat(500)];

/**
 * Defines the tests that every adapter must pass. Functions that an adapter leaves out are not tested.
 *
 * @example
 * import { adapterContract } from 'express-oauth-router/adapter-contract';
 * adapterContract(() => ({ adapter: postgresAdapter(pool) }), { describe, it });
 */
export function adapterContract(
  create: () => AdapterUnderTest | Promise<AdapterUnderTest>,
  { describe, it }: TestFunctions,
): void {
  function test(
    name: string,
    run: (adapter: Adapter, pass: (seconds: number) => Promise<void>) => Promise<void>,
  ): void {
    it(name, async () => {
      const { adapter, advance, close } = await create();
      const pass = async (seconds: number): Promise<void> => {
        if (advance) await advance(seconds);
        else await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      };
      try {
        await run(adapter, pass);
      } finally {
        await close?.();
      }
    });
  }

  describe('clients', () => {
    test('getClient returns undefined or null for an unknown client', async (adapter) => {
      assert.equal((await adapter.getClient(unique())) ?? undefined, undefined);
    });

    test('saveClient inserts and replaces, deleteClient deletes', async (adapter) => {
      if (!adapter.saveClient || !adapter.deleteClient) return;
      const client = someClient();
      await adapter.saveClient(client);
      assert.deepEqual(await adapter.getClient(client.clientId), client);
      await adapter.saveClient({ ...client, scope: 'c' });
      assert.equal((await adapter.getClient(client.clientId))?.scope, 'c');
      await adapter.deleteClient(client.clientId);
      assert.equal((await adapter.getClient(client.clientId)) ?? undefined, undefined);
    });

    test('a client with a ttl is dropped after it, and keeps its lifetime when it is replaced', async (adapter, pass) => {
      if (!adapter.saveClient || !adapter.extendClient) return;
      const [passing, lasting] = [someClient(), someClient()];
      await adapter.saveClient(passing, 1);
      await adapter.saveClient(lasting);
      assert.deepEqual(await adapter.getClient(passing.clientId), passing);
      const changed = { clientName: 'Another name' };
      await adapter.saveClient({ ...passing, ...changed });
      await adapter.saveClient({ ...lasting, ...changed }, 1);
      assert.deepEqual(await adapter.getClient(passing.clientId), { ...passing, ...changed });
      await pass(1.2);
      assert.equal((await adapter.getClient(passing.clientId)) ?? undefined, undefined);
      assert.deepEqual(await adapter.getClient(lasting.clientId), { ...lasting, ...changed });
    });

    test('replaceClient replaces only a client that exists, and keeps its lifetime', async (adapter, pass) => {
      if (!adapter.saveClient || !adapter.replaceClient || !adapter.deleteClient) return;
      const [passing, lasting, missing] = [someClient(), someClient(), someClient()];
      await adapter.saveClient(passing, 1);
      await adapter.saveClient(lasting);
      const changed = { clientName: 'Another name' };
      assert.equal(await adapter.replaceClient({ ...passing, ...changed }), true);
      assert.equal(await adapter.replaceClient({ ...lasting, ...changed }), true);
      assert.equal(await adapter.replaceClient(missing), false);
      assert.equal((await adapter.getClient(missing.clientId)) ?? undefined, undefined);
      assert.deepEqual(await adapter.getClient(passing.clientId), { ...passing, ...changed });
      await pass(1.2);
      assert.equal(await adapter.replaceClient(passing), false);
      assert.equal((await adapter.getClient(passing.clientId)) ?? undefined, undefined);
      assert.deepEqual(await adapter.getClient(lasting.clientId), { ...lasting, ...changed });
      await adapter.deleteClient(lasting.clientId);
      assert.equal(await adapter.replaceClient(lasting), false);
    });

    test('extendClient lengthens a lifetime and never shortens it', async (adapter, pass) => {
      if (!adapter.saveClient || !adapter.extendClient) return;
      const [longer, shorter, kept, lasting] = [someClient(), someClient(), someClient(), someClient()];
      for (const client of [longer, shorter, kept]) await adapter.saveClient(client, 1);
      await adapter.saveClient(lasting);
      assert.equal(await adapter.extendClient(longer.clientId, 600), true);
      assert.equal(await adapter.extendClient(longer.clientId, 1), true);
      assert.equal(await adapter.extendClient(shorter.clientId, 0.01), true);
      assert.equal(await adapter.extendClient(kept.clientId), true);
      assert.equal(await adapter.extendClient(lasting.clientId, 1), true);
      assert.equal(await adapter.extendClient(someClient().clientId), false);
      assert.deepEqual(await adapter.getClient(shorter.clientId), shorter);
      await pass(1.2);
      assert.equal((await adapter.getClient(shorter.clientId)) ?? undefined, undefined);
      assert.equal(await adapter.extendClient(shorter.clientId), false);
      for (const client of [longer, kept, lasting])
        assert.deepEqual(await adapter.getClient(client.clientId), client);
    });
  });

  describe('saveGrant and getGrant', () => {
    test('return a grant unchanged, with all further members of the record', async (adapter) => {
      const grant = { ...newGrant(), scope: ['a', 'ü'], nested: { list: [1, null, true], empty: [] } };
      await adapter.saveGrant(grant);
      assert.deepEqual(await adapter.getGrant(grant.id), grant);
    });

    test('getGrant returns undefined or null for an unknown grant', async (adapter) => {
      assert.equal((await adapter.getGrant(unique())) ?? undefined, undefined);
    });

    test('saveGrant throws if the id exists, and changes nothing', async (adapter) => {
      const grant = newGrant();
      await adapter.saveGrant(grant);
      await assert.rejects(async () => {
        await adapter.saveGrant({ ...grant, clientId: 'another' });
      });
      assert.deepEqual(await adapter.getGrant(grant.id), grant);
    });

    test('only one of many concurrent inserts of the same id succeeds', async (adapter) => {
      const grant = newGrant();
      const results = await Promise.allSettled(
        racers(async (racer) => {
          await adapter.saveGrant({ ...grant, clientId: racer });
        }),
      );
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    });

    test('changes that a caller makes to its objects do not reach the store', async (adapter) => {
      const grant = { ...newGrant(), scope: ['a'] };
      await adapter.saveGrant(grant);
      grant.scope.push('b');
      const read = (await adapter.getGrant(grant.id)) as unknown as { scope: string[] };
      read.scope.push('c');
      assert.deepEqual(await adapter.getGrant(grant.id), { ...grant, scope: ['a'] });
    });

    test('grants are kept apart', async (adapter) => {
      const grants = [newGrant(), newGrant(), newGrant()];
      await Promise.all(grants.map((grant) => adapter.saveGrant(grant)));
      for (const grant of grants) assert.deepEqual(await adapter.getGrant(grant.id), grant);
    });
  });

  describe('advanceGrant', () => {
    test('stores the next record if the generation is the stored one', async (adapter) => {
      const grant = newGrant();
      const next = { ...grant, generation: 1, expiresAt: grant.expiresAt + HOUR, fact: 'new' };
      await adapter.saveGrant(grant);
      assert.equal(await adapter.advanceGrant(grant.id, 0, next), true);
      assert.deepEqual(await adapter.getGrant(grant.id), next);
    });

    test('is false, and changes nothing, if the stored generation differs', async (adapter) => {
      const grant = { ...newGrant(), generation: 10 };
      await adapter.saveGrant(grant);
      for (const generation of [0, 1, 9, 11, 100]) {
        assert.equal(
          await adapter.advanceGrant(grant.id, generation, { ...grant, generation: generation + 1 }),
          false,
        );
      }
      assert.deepEqual(await adapter.getGrant(grant.id), grant);
    });

    test('is false for an unknown grant, and does not create it', async (adapter) => {
      const grant = newGrant();
      assert.equal(await adapter.advanceGrant(grant.id, 0, { ...grant, generation: 1 }), false);
      assert.equal((await adapter.getGrant(grant.id)) ?? undefined, undefined);
    });

    test('may keep the generation, and may skip some', async (adapter) => {
      const grant = { ...newGrant(), generation: 3 };
      await adapter.saveGrant(grant);
      assert.equal(
        await adapter.advanceGrant(grant.id, 3, { ...grant, expiresAt: grant.expiresAt + 1 }),
        true,
      );
      assert.equal(await adapter.advanceGrant(grant.id, 3, { ...grant, generation: 9_000_000 }), true);
      assert.equal((await adapter.getGrant(grant.id))?.generation, 9_000_000);
    });

    test('only one of many concurrent calls succeeds, and its record is stored', async (adapter) => {
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

    test('a record with an extended expiry is kept until the new expiry', async (adapter, pass) => {
      const grant = { ...newGrant(), expiresAt: Date.now() + 500 };
      await adapter.saveGrant(grant);
      await adapter.advanceGrant(grant.id, 0, { ...grant, generation: 1, expiresAt: Date.now() + HOUR });
      await pass(1.2);
      assert.equal((await adapter.getGrant(grant.id))?.generation, 1);
    });
  });

  describe('revokeGrant', () => {
    test('deletes a grant, and returns whether it existed', async (adapter) => {
      const grant = newGrant();
      await adapter.saveGrant(grant);
      assert.equal(await adapter.revokeGrant(grant.id), true);
      assert.equal((await adapter.getGrant(grant.id)) ?? undefined, undefined);
      assert.equal(await adapter.revokeGrant(grant.id), false);
    });

    test('a revoked grant is not brought back by advanceGrant', async (adapter) => {
      const grant = newGrant();
      await adapter.saveGrant(grant);
      await Promise.all([
        adapter.revokeGrant(grant.id),
        ...racers(() => adapter.advanceGrant(grant.id, 0, { ...grant, generation: 1 })),
      ]);
      assert.equal((await adapter.getGrant(grant.id)) ?? undefined, undefined);
    });
  });

  describe('listGrants', () => {
    test('returns all grants of a user, and no grants of other users', async (adapter) => {
      if (!adapter.listGrants) return;
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
      const byId = (a: StoredGrant, b: StoredGrant): number => (a.id < b.id ? -1 : 1);
      assert.deepEqual([...(await adapter.listGrants(user))].sort(byId), [code, next].sort(byId));
      assert.deepEqual(await adapter.listGrants(unique()), []);
    });

    test('finds a grant that got its user when it was advanced', async (adapter) => {
      if (!adapter.listGrants) return;
      const user = unique();
      const grant = newGrant(null);
      const next = { ...grant, generation: 1, userId: user };
      await adapter.saveGrant(grant);
      assert.equal(await adapter.advanceGrant(grant.id, 0, next), true);
      assert.deepEqual(await adapter.listGrants(user), [next]);
    });

    test('keeps users with awkward names apart', async (adapter) => {
      if (!adapter.listGrants) return;
      const grants = AWKWARD.map((name) => newGrant(unique() + name));
      for (const grant of grants) await adapter.saveGrant(grant);
      for (const grant of grants) assert.deepEqual(await adapter.listGrants(grant.userId ?? ''), [grant]);
    });

    test('finds every one of many grants', async (adapter) => {
      if (!adapter.listGrants) return;
      const user = unique();
      const grants = Array.from({ length: 230 }, () => newGrant(user));
      await Promise.all(grants.map((grant) => adapter.saveGrant(grant)));
      assert.equal((await adapter.listGrants(user)).length, grants.length);
    });
  });

  describe('setOnce', () => {
    test('is true the first time only', async (adapter) => {
      const key = unique();
      assert.equal(await adapter.setOnce(key, 60), true);
      assert.equal(await adapter.setOnce(key, 60), false);
      assert.equal(await adapter.setOnce(unique(), 60), true);
    });

    test('only one of many concurrent calls returns true', async (adapter) => {
      const key = unique();
      const results = await Promise.all(racers(() => adapter.setOnce(key, 60)));
      assert.equal(results.filter(Boolean).length, 1);
    });

    test('keeps a key for its ttl, and not longer', async (adapter, pass) => {
      const [short, long] = [unique(), unique()];
      await adapter.setOnce(short, 1);
      await adapter.setOnce(long, 60);
      await pass(1.2);
      assert.equal(await adapter.setOnce(long, 60), false);
      assert.equal(await adapter.setOnce(short, 60), true);
    });
  });

  describe('put, get and take', () => {
    test('return a value unchanged, even if it is long', async (adapter) => {
      for (const value of ['1', '{"a":"ü😀"}', 'x'.repeat(100_000)]) {
        const key = unique();
        await adapter.put(key, value, 60);
        assert.equal(await adapter.get(key), value);
        assert.equal(await adapter.get(key), value);
      }
    });

    test('put replaces the value and its time', async (adapter, pass) => {
      const key = unique();
      await adapter.put(key, 'a', 1);
      await adapter.put(key, 'b', 60);
      await pass(1.2);
      assert.equal(await adapter.get(key), 'b');
    });

    test('a value expires after its ttl', async (adapter, pass) => {
      const key = unique();
      await adapter.put(key, 'a', 1);
      await pass(1.2);
      assert.equal((await adapter.get(key)) ?? undefined, undefined);
      assert.equal((await adapter.take(key)) ?? undefined, undefined);
    });

    test('only one of many concurrent calls of take gets the value', async (adapter) => {
      const key = unique();
      await adapter.put(key, 'a', 60);
      const results = await Promise.all(racers(() => adapter.take(key)));
      assert.deepEqual(
        results.filter((value) => value !== undefined && value !== null),
        ['a'],
      );
      assert.equal((await adapter.get(key)) ?? undefined, undefined);
    });

    test('awkward keys are kept apart, from each other and from setOnce', async (adapter) => {
      const keys = AWKWARD.map((name) => unique() + name);
      for (const key of keys) await adapter.put(key, `value of ${key}`, 60);
      for (const key of keys) assert.equal(await adapter.setOnce(key, 60), true);
      for (const key of keys) assert.equal(await adapter.take(key), `value of ${key}`);
    });
  });

  describe('consent', () => {
    test('is remembered for a user and a client, replaced, and forgotten', async (adapter) => {
      if (!adapter.getConsent || !adapter.saveConsent || !adapter.deleteConsent) return;
      const consent: Consent = {
        userId: unique(),
        clientId: unique(),
        scope: ['a'],
        resources: ['r'],
        grantedAt: Date.now(),
      };
      const { userId, clientId } = consent;
      assert.equal((await adapter.getConsent(userId, clientId)) ?? undefined, undefined);
      await adapter.saveConsent(consent);
      assert.deepEqual(await adapter.getConsent(userId, clientId), consent);
      assert.equal((await adapter.getConsent(clientId, userId)) ?? undefined, undefined);
      await adapter.saveConsent({ ...consent, scope: ['a', 'b'] });
      assert.deepEqual((await adapter.getConsent(userId, clientId))?.scope, ['a', 'b']);
      await adapter.deleteConsent(userId, clientId);
      assert.equal((await adapter.getConsent(userId, clientId)) ?? undefined, undefined);
    });

    test('pairs that read the same when they are joined are kept apart', async (adapter) => {
      if (!adapter.getConsent || !adapter.saveConsent) return;
      const base = unique();
      const consent = { scope: ['a'], resources: [], grantedAt: 1 };
      await adapter.saveConsent({ ...consent, userId: `${base}:a`, clientId: 'b' });
      assert.equal((await adapter.getConsent(base, 'a:b')) ?? undefined, undefined);
    });
  });

  describe('ping', () => {
    test('resolves while the storage can be used', async (adapter) => {
      await adapter.ping?.();
    });
  });
}

function unique(): string {
  return randomBytes(16).toString('base64url');
}

function someClient(): ClientMetadata {
  return { clientId: unique(), redirectUris: ['https://a.example/cb'], scope: 'a b', firstParty: true };
}

function newGrant(userId: string | null = unique()): StoredGrant {
  const grant = { id: unique(), generation: 0, clientId: 'client', expiresAt: Date.now() + HOUR };
  return userId === null ? grant : { ...grant, userId };
}

function racers<T>(run: (racer: string) => T | Promise<T>): Promise<T>[] {
  return Array.from({ length: RACERS }, async (_, position) => run(String(position)));
}
