import assert from 'node:assert/strict';

import type { ClientMetadata } from '../adapters/contract';
import { withoutNulls } from '../json';
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

export function testListClients({ describe }: TestFunctions, test: DefineTest): void {
  describe('listClients', () => {
    test(
      'returns clients in the order of their ids, as many as are asked for, and those that follow an id',
      ['saveClient', 'deleteClient', 'listClients'],
      async ({ adapter }) => {
        const base = unique();
        // In the order of their bytes.
        const clients = ['-', '1', 'B', 'C', '_', 'a', 'b'].map((end) => ({
          ...someClient(),
          clientId: base + end,
        }));
        for (const client of [...clients].reverse()) await adapter.saveClient(client);
        const list = async (after: string, limit: number): Promise<ClientMetadata[]> =>
          [...(await adapter.listClients(after, limit))].filter(({ clientId }) => clientId.startsWith(base));
        assert.deepEqual((await list(base, 3)).map(withoutNulls), clients.slice(0, 3));
        assert.deepEqual(await list(base, 100), await list(base, clients.length));
        assert.deepEqual((await list(`${base}B`, 100)).map(withoutNulls), clients.slice(3));
        // The id need not exist.
        assert.deepEqual((await list(`${base}Ba`, 2)).map(withoutNulls), clients.slice(3, 5));
        await adapter.deleteClient(`${base}C`);
        assert.deepEqual(
          (await list(`${base}B`, 2)).map(({ clientId }) => clientId),
          [`${base}_`, `${base}a`],
        );
      },
    );

    test(
      'returns all clients in parts, from the first one',
      ['saveClient', 'deleteClient', 'listClients'],
      async ({ adapter }) => {
        const [first, last] = [`!${unique()}`, `~${unique()}`];
        for (const clientId of [last, first]) await adapter.saveClient({ ...someClient(), clientId });
        const ids: string[] = [];
        for (let part; part === undefined || part.length === 7; ids.push(...part))
          part = [...(await adapter.listClients(ids.at(-1), 7))].map(({ clientId }) => clientId);
        for (const clientId of [first, last]) {
          assert.equal(ids.filter((id) => id === clientId).length, 1);
          await adapter.deleteClient(clientId);
        }
        assert.equal(new Set(ids).size, ids.length);
      },
    );

    test(
      'returns a client that has been replaced, and none whose time is over',
      ['saveClient', 'listClients'],
      async ({ adapter, pass }) => {
        const [kept, passing] = [someClient(), someClient()];
        const after = (id: string): string => id.slice(0, -1);
        await adapter.saveClient(kept);
        await adapter.saveClient({ ...kept, scope: 'changed' });
        await adapter.saveClient(passing, 1);
        assertSame((await adapter.listClients(after(passing.clientId), 1))[0], passing);
        await pass(1.2);
        assertSame((await adapter.listClients(after(kept.clientId), 1))[0], { ...kept, scope: 'changed' });
        const [next] = await adapter.listClients(after(passing.clientId), 1);
        assert.notEqual(next?.clientId, passing.clientId);
      },
    );
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
