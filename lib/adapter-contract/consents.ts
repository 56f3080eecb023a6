import assert from 'node:assert/strict';

import type { Consent } from '../adapters/contract';
import {
  ALIKE,
  ALIKE_CLIENTS,
  assertNothing,
  assertSame,
  unique,
  type DefineTest,
  type TestFunctions,
} from './harness';

export function testConsents({ describe }: TestFunctions, test: DefineTest): void {
  describe('consent', () => {
    test(
      'is remembered for a user and a client, replaced, and forgotten',
      ['getConsent', 'saveConsent', 'deleteConsent'],
      async ({ adapter }) => {
        const consent: Consent = {
          userId: unique(),
          clientId: unique(),
          scope: ['a'],
          resources: ['r'],
          grantedAt: Date.now(),
        };
        const { userId, clientId } = consent;
        assertNothing(await adapter.getConsent(userId, clientId));
        await adapter.saveConsent(consent);
        assert.deepEqual(await adapter.getConsent(userId, clientId), consent);
        assertNothing(await adapter.getConsent(clientId, userId));
        await adapter.saveConsent({ ...consent, scope: ['a', 'b'] });
        assert.deepEqual((await adapter.getConsent(userId, clientId))?.scope, ['a', 'b']);
        await adapter.deleteConsent(userId, clientId);
        assertNothing(await adapter.getConsent(userId, clientId));
      },
    );

    test(
      'pairs that read the same when they are joined are kept apart',
      ['getConsent', 'saveConsent'],
      async ({ adapter }) => {
        const base = unique();
        const consent = { scope: ['a'], resources: [], grantedAt: 1 };
        await adapter.saveConsent({ ...consent, userId: `${base}:a`, clientId: 'b' });
        assertNothing(await adapter.getConsent(base, 'a:b'));
      },
    );

    test(
      'is that of one user and one client: others are neither replaced nor forgotten',
      ['getConsent', 'saveConsent', 'deleteConsent'],
      async ({ adapter }) => {
        const [user, client] = [unique(), unique()];
        const of = (userId: string, clientId: string): Consent => ({
          userId,
          clientId,
          scope: [`${userId} ${clientId}`],
          resources: [],
          grantedAt: 1,
        });
        const first = of(user, client);
        const rest = [of(user, unique()), of(unique(), client), of(unique(), unique())];
        for (const consent of [first, ...rest]) await adapter.saveConsent(consent);
        await adapter.saveConsent({ ...first, scope: ['changed'] });
        for (const consent of rest)
          assertSame(await adapter.getConsent(consent.userId, consent.clientId), consent);
        await adapter.deleteConsent(first.userId, first.clientId);
        for (const consent of rest)
          assertSame(await adapter.getConsent(consent.userId, consent.clientId), consent);
      },
    );

    test(
      'users and clients that are alike are kept apart',
      ['getConsent', 'saveConsent'],
      async ({ adapter }) => {
        const consent = (userId: string, clientId: string): Consent => ({
          userId,
          clientId,
          scope: ['a'],
          resources: [],
          grantedAt: 1,
        });
        for (const [one, other] of ALIKE) {
          const [base, client] = [unique(), unique()];
          await adapter.saveConsent(consent(base + one, client));
          assertNothing(await adapter.getConsent(base + other, client));
        }
        for (const [one, other] of ALIKE_CLIENTS) {
          const [base, user] = [unique(), unique()];
          await adapter.saveConsent(consent(user, base + one));
          assertNothing(await adapter.getConsent(user, base + other));
        }
      },
    );

    test('survives the clean-up', ['getConsent', 'saveConsent', 'sweep'], async ({ adapter, sweep }) => {
      const consent = { userId: unique(), clientId: unique(), scope: ['a'], resources: [], grantedAt: 1 };
      await adapter.saveConsent(consent);
      await sweep(86_400);
      assertSame(await adapter.getConsent(consent.userId, consent.clientId), consent);
    });
  });
}
