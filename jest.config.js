'use strict';

const { projects } = require('./jest.projects.js');

/**
 * The tests of a contributor: `npm test`. Two variants, memory at the root and Redis under a prefix, on Express 5, and what is most
 * exposed to Express on Express 4. `npm run test:all` runs every variant of everything.
 */
module.exports = {
  projects: projects({
    express5: ['memory root', 'redis prefix'],
    express4: { folders: ['http', 'resource', 'token'], variants: ['redis prefix'] },
  }),
  testTimeout: 30_000,
  maxWorkers: '100%',
};
