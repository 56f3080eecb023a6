'use strict';

const { express4, express5, postgres, testsWithVariants } = require('./jest.projects.js');

/** `npm test` runs it on memory and on Redis. */
const LONG = ['/http/generated-documents'];

/**
 * What `npm test` leaves out: PostgreSQL and SQLite, a Redis Cluster, the other Redis clients, and more of Express 4, at the root:
 * `npm run test:more`. It needs PostgreSQL: that of `POSTGRES_URL`, or a private server.
 */
module.exports = {
  ...require('./jest.config.js'),
  projects: [
    express5({
      postgres: true,
      variants: ['postgres root', 'sqlite prefix'],
      testMatch: [...testsWithVariants(), '<rootDir>/__tests__/**/*.more.ts'],
      ignored: LONG,
    }),
    express4({
      // The store does not matter to Express.
      variants: ['memory root'],
      testMatch: testsWithVariants([
        'authorization/',
        'clients/',
        'endpoints/',
        'http/',
        'logout/',
        'policy/',
        'registration/',
        'resource/',
        'token/',
        'tokens/',
      ]),
      ignored: LONG,
    }),
    postgres,
  ],
};
