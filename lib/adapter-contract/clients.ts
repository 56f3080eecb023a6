import assert from 'node:assert/strict';

import {
  ALIKE_CLIENTS,
  assertNothing,
  assertSame,
  LONG,
  someClient,
  unique,
  type DefineTest,
  type TestFunctions,
} from './harness';

export function testClients({ describe }: TestFunctions, test: DefineTest): void {
  describe('clients', () => {
    test('getClient returns undefined or null for an unknown client', [], async ({ adapter }) => {
      assertNothing(await adapter.getClient(unique()));
    });

    test(
      'saveClient inserts and replaces, deleteClient deletes',
      ['saveClient', 'deleteClient'],
      async ({ adapter }) => {
        const client = someClient();
        await adapter.saveClient(client);
        assertSame(await adapter.getClient(client.clientId), client);
        await adapter.saveClient({ ...client, scope: 'c' });
        assert.equal((await adapter.getClient(client.clientId))?.scope, 'c');
        await adapter.deleteClient(client.clientId);
        assertNothing(await adapter.getClient(client.clientId));
      },
    );

    test('ids that are alike are kept apart', ['saveClient'], async ({ adapter }) => {
      for (const [one, other] of ALIKE_CLIENTS) {
        const base = unique();
        const first = { ...someClient(), clientId: base + one };
        const second = { ...someClient(), clientId: base + other };
        await adapter.saveClient(first);
        assertNothing(await adapter.getClient(second.clientId));
        await adapter.saveClient({ ...second, scope: 'other' });
        assertSame(await adapter.getClient(first.clientId), first);
      }
    });
  });
}

export function testClientLifetimes({ describe }: TestFunctions, test: DefineTest): void {
  describe('the lifetime of clients', () => {
    test(
      'a client with a ttl is dropped after it, and keeps its lifetime when it is replaced',
      ['saveClient', 'extendClient'],
      async ({ adapter, pass }) => {
        const [passing, lasting] = [someClient(), someClient()];
        await adapter.saveClient(passing, 1);
        await adapter.saveClient(lasting);
        assertSame(await adapter.getClient(passing.clientId), passing);
        const changed = { clientName: 'Another name' };
        await adapter.saveClient({ ...passing, ...changed });
        await adapter.saveClient({ ...lasting, ...changed }, 1);
        assertSame(await adapter.getClient(passing.clientId), { ...passing, ...changed });
        await pass(1.2);
        assertNothing(await adapter.getClient(passing.clientId));
        assertSame(await adapter.getClient(lasting.clientId), { ...lasting, ...changed });
      },
    );

    test(
      'replaceClient replaces only a client that exists, and keeps its lifetime',
      ['saveClient', 'replaceClient', 'deleteClient'],
      async ({ adapter, pass }) => {
        const [passing, lasting, missing] = [someClient(), someClient(), someClient()];
        await adapter.saveClient(passing, 1);
        await adapter.saveClient(lasting);
        const changed = { clientName: 'Another name' };
        assert.equal(await adapter.replaceClient({ ...passing, ...changed }), true);
        assert.equal(await adapter.replaceClient({ ...lasting, ...changed }), true);
        assert.equal(await adapter.replaceClient(missing), false);
        assertNothing(await adapter.getClient(missing.clientId));
        assertSame(await adapter.getClient(passing.clientId), { ...passing, ...changed });
        await pass(1.2);
        assert.equal(await adapter.replaceClient(passing), false);
        assertNothing(await adapter.getClient(passing.clientId));
        assertSame(await adapter.getClient(lasting.clientId), { ...lasting, ...changed });
        await adapter.deleteClient(lasting.clientId);
        assert.equal(await adapter.replaceClient(lasting), false);
      },
    );

    test(
      'extendClient lengthens a lifetime and never shortens it',
      ['saveClient', 'extendClient'],
      async ({ adapter, pass }) => {
        const [longer, shorter, kept, lasting] = [someClient(), someClient(), someClient(), someClient()];
        for (const client of [longer, shorter, kept]) await adapter.saveClient(client, 1);
        await adapter.saveClient(lasting);
        assert.equal(await adapter.extendClient(longer.clientId, 600), true);
        assert.equal(await adapter.extendClient(longer.clientId, 1), true);
        assert.equal(await adapter.extendClient(shorter.clientId, 0.01), true);
        assert.equal(await adapter.extendClient(kept.clientId), true);
        assert.equal(await adapter.extendClient(lasting.clientId, 1), true);
        assert.equal(await adapter.extendClient(someClient().clientId), false);
        assertSame(await adapter.getClient(shorter.clientId), shorter);
        await pass(1.2);
        assertNothing(await adapter.getClient(shorter.clientId));
        assert.equal(await adapter.extendClient(shorter.clientId), false);
        for (const client of [longer, kept, lasting])
          assertSame(await adapter.getClient(client.clientId), client);
      },
    );

    test(
      'a client may be kept for a long time',
      ['saveClient', 'extendClient'],
      async ({ adapter, pass }) => {
        const [saved, extended] = [someClient(), someClient()];
        await adapter.saveClient(saved, LONG);
        await adapter.saveClient(extended, 1);
        await adapter.extendClient(extended.clientId, LONG);
        await pass(1.2);
        for (const client of [saved, extended]) assertSame(await adapter.getClient(client.clientId), client);
      },
    );

    test(
      'the clean-up deletes those whose time is over, and no others',
      ['saveClient', 'extendClient', 'sweep'],
      async ({ adapter, sweep }) => {
        const [passing, extended, kept, lasting] = [someClient(), someClient(), someClient(), someClient()];
        for (const client of [passing, extended, kept]) await adapter.saveClient(client, 1);
        await adapter.saveClient(lasting);
        await adapter.extendClient(extended.clientId, LONG);
        await adapter.extendClient(kept.clientId);
        await sweep(86_400);
        assertNothing(await adapter.getClient(passing.clientId));
        for (const client of [extended, kept, lasting])
          assertSame(await adapter.getClient(client.clientId), client);
      },
    );
  });
}
