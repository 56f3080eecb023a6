'use strict';

const [express5] = require('./jest.config.js').projects;

/**
 * Stores that fail while clients are at work: `npm run test:faults`. One test runs at a time, and each takes seconds; `FAULT_ROUNDS` is how
 * often each fault happens. It needs PostgreSQL on the path, as `npm run test:more` does.
 */
module.exports = {
  ...express5,
  displayName: 'faults',
  testMatch: ['<rootDir>/__tests__/faults/**/*.faults.ts'],
  testTimeout: 120_000 * Number(process.env.FAULT_ROUNDS ?? 1),
  maxWorkers: 1,
};
