import { spawnSync } from 'node:child_process';
import path from 'node:path';

import { generatePrivateKey } from '../../lib/tokens/generated-key';

describe('generatePrivateKey', () => {
  it('generates RSA keys that can be read during a garbage collection', () => {
    const loop = path.join(__dirname, '../support/key-loop-process.ts');
    const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', loop], {
      encoding: 'utf8',
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    expect(stdout).toBe('done');
  }, 70_000);

  it.each([
    ['ES256', { namedCurve: 'prime256v1' }],
    ['RS256', { modulusLength: 2048 }],
  ] as const)('generates a key for %s', (alg, details) => {
    expect(generatePrivateKey(alg).asymmetricKeyDetails).toMatchObject(details);
  });
});
