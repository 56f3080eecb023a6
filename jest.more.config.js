'use strict';

const { express4, express5, postgres, testsWithVariants } = require('./jest.projects.js');

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
      // It takes one store, and `npm test` runs it on memory and on Redis.
      ignored: ['/http/generated-documents'],
    }),
    express4({
      postgres: true,
      // The store does not matter to Express.
      variants: ['memory root'],
      testMatch: [
        '<rootDir>/__tests__/{authorization,clients,endpoints,http,logout,policy,registration,resource,token,tokens}/**/*.test.ts',
      ],
      // Without variants, and `npm test` runs them on Express 4.
      ignored: ['/http/generated-', '/resource/token-verifier'],
    }),
    postgres,
  ],
};
