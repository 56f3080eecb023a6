'use strict';

const { WITHOUT_VARIANTS, postgres, projects } = require('./jest.projects.js');

/**
 * Runs every store on Express 5, half of them at the root and half under a prefix, and the folders below on Express 4:
 * `npm run test:all`. The long tests without variants run in `npm test`. It needs PostgreSQL: that of `POSTGRES_URL`, or a private server.
 */
module.exports = {
  ...require('./jest.config.js'),
  projects: [
    ...projects({
      kinds: '{test,all}',
      ignored: WITHOUT_VARIANTS,
      postgres: true,
      express5: ['memory root', 'redis prefix', 'postgres root', 'sqlite prefix'],
      express4: {
        folders: [
          'authorization',
          'clients',
          'endpoints',
          'http',
          'logout',
          'policy',
          'registration',
          'resource',
          'token',
          'tokens',
        ],
        // `npm test` has the other mount, for the folders that depend most on Express; the store does not matter to it.
        variants: ['memory root'],
      },
    }),
    postgres,
  ],
};
