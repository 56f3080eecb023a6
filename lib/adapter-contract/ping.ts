import assert from 'node:assert/strict';

import type { Adapter } from '../adapters/contract';
import { newGrant, type DefineTest, type TestFunctions } from './harness';

export function testPing({ describe }: TestFunctions, test: DefineTest): void {
  describe('ping', () => {
    test('resolves while the storage can be used', ['ping'], async ({ adapter }) => {
      await adapter.ping();
    });

    test(
      'rejects if the storage cannot be reached, as every other function does',
      ['ping', 'unreachable'],
      async ({ unreachable }) => {
        const adapter = (await unreachable()) as Required<Adapter>;
        const grant = newGrant();
        const calls: (() => unknown)[] = [
          () => adapter.ping(),
          () => adapter.getClient('client'),
          () => adapter.saveGrant(grant),
          () => adapter.getGrant(grant.id),
          () => adapter.advanceGrant(grant.id, 0, grant),
          () => adapter.revokeGrant(grant.id),
          () => adapter.setOnce('key', 60),
          () => adapter.put('key', 'value', 60),
          () => adapter.get('key'),
          () => adapter.take('key'),
        ];
        for (const call of calls)
          await assert.rejects(async () => {
            await call();
          });
      },
    );
  });
}
