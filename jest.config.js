'use strict';

const { projects } = require('./jest.projects.js');

/**
 * The tests of a contributor: `npm test`. Two variants, memory at the root and Redis under a prefix, run on Express 5; the
 * folders that depend most on Express also run on Express 4. `npm run test:all` runs every variant.
 */
module.exports = {
  projects: projects({
    express5: ['memory root', 'redis prefix'],
    express4: { folders: ['http', 'resource', 'token'], variants: ['redis prefix'] },
  }),
  testTimeout: 30_000,
  testSequencer: './__tests__/support/sequencer.js',
  maxWorkers: '100%',
};
