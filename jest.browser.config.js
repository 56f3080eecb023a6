'use strict';

const [express5] = require('./jest.config.js').projects;

/** The tests that need a real browser: `npm run test:browser`. */
module.exports = {
  ...express5,
  displayName: 'browser',
  testMatch: ['<rootDir>/__tests__/browser/**/*.browser.ts'],
  testTimeout: 60_000,
};
