'use strict';

const { express4, express5 } = require('./jest.projects.js');

/**
 * The tests of a contributor: `npm test`. Two variants, memory at the root and Redis under a prefix, run on Express 5; the
 * folders that depend most on Express also run on Express 4. `npm run test:more` runs what is left.
 */
module.exports = {
  projects: [
    express5({ variants: ['memory root', 'redis prefix'] }),
    express4({
      variants: ['redis prefix'],
      testMatch: ['<rootDir>/__tests__/{http,resource,token}/**/*.test.ts'],
    }),
  ],
  testTimeout: 30_000,
  testSequencer: './__tests__/support/sequencer.js',
  maxWorkers: '100%',
};
