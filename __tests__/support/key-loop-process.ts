/**
 * Generates RSA keys and reads their details during garbage collections, which external memory provokes. With keys that share a
 * handle with the job that generated them, Node 20 hangs here within a few rounds.
 */
import { createPublicKey } from 'node:crypto';

import { generatePrivateKey } from '../../lib/tokens/generated-key';

const kept: ArrayBuffer[] = [];
const read: unknown[] = [];
for (let round = 0; round < 15; round++) {
  const key = generatePrivateKey('RS256');
  for (let buffer = 0; buffer < 40; buffer++) kept[buffer] = new ArrayBuffer(300_000);
  for (let time = 0; time < 30; time++) {
    read[time] = [key.export({ format: 'jwk' }), createPublicKey(key).asymmetricKeyDetails];
  }
}
process.stdout.write('done');
