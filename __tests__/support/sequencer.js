'use strict';

const Sequencer = require('@jest/test-sequencer').default;

/** The longest test files: a long one that begins last leaves the other workers with nothing to do. */
const LONG = [
  'adapters/contract-clients.more.ts',
  'clients/metadata-documents.test.ts',
  'grants/redemption-model.test.ts',
  'grants/refresh-model.test.ts',
  'adapters/contract.postgres.ts',
  'token/endpoint.test.ts',
  'adapters/contract.test.ts',
  'adapters/cluster.more.ts',
  'cli.test.ts',
  'adapters/contract-mistakes.test.ts',
  'authorization/endpoint.test.ts',
  'federation/misbehaving-providers.test.ts',
];

/** Runs the longest files first, also where no earlier run has told how long each takes. */
module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    const rank = ({ path }) => {
      const position = LONG.findIndex((name) => path.endsWith(`/__tests__/${name}`));
      return position < 0 ? LONG.length : position;
    };
    return [...super.sort(tests)].sort((a, b) => rank(a) - rank(b));
  }
};
