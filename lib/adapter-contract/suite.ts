import assert from 'node:assert/strict';

import type { Awaitable } from '../host/call';
import { testAdvanceGrant, testGrantAge } from './advance';
import { testClientLifetimes, testClients, testListClients } from './clients';
import { testConsents } from './consents';
import { testListGrants, testRevokeGrant, testSaveGrant } from './grants';
import {
  createDefineTest,
  isPresent,
  type AdapterContractOptions,
  type AdapterUnderTest,
  type TestFunctions,
} from './harness';
import { testPing } from './ping';
import { testSetOnce, testValues } from './state';

export type { AdapterContractOptions, AdapterUnderTest, Lacking, TestFunctions } from './harness';
export { adapterOfProcess, serveAdapter } from './other-process';

/** The version of the contract: it changes when an adapter that passed must change. New functions are optional, and change nothing. */
export const CONTRACT_VERSION = 1;

/**
 * Defines the tests that every adapter must pass. What an adapter lacks is named in `without`: the tests that need it are skipped.
 *
 * @throws TypeError for an unknown name in `without`
 * @example
 * import { adapterContract } from 'express-oauth-router/adapter-contract';
 * adapterContract(() => ({ adapter: postgresAdapter(pool) }), { describe, it }, { without: ['other', 'sweep', 'unreachable'] });
 */
export function adapterContract(
  create: () => Awaitable<AdapterUnderTest>,
  runner: TestFunctions,
  options: AdapterContractOptions = {},
): void {
  const { without = [] } = options;
  const test = createDefineTest(create, runner, options);
  runner.describe('the functions', () => {
    runner.it('nothing is there that "without" says is missing', async () => {
      const underTest = await create();
      const present = without.filter((need) => isPresent(underTest, need));
      await underTest.close?.();
      assert.deepEqual(present, []);
    });
  });
  const parts = [
    testClients,
    testClientLifetimes,
    testListClients,
    testSaveGrant,
    testAdvanceGrant,
    testGrantAge,
    testRevokeGrant,
    testListGrants,
    testSetOnce,
    testValues,
    testConsents,
    testPing,
  ];
  for (const define of parts) define(runner, test);
}
