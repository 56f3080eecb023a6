'use strict';

const [express5] = require('./jest.config.js').projects;

/** The conformance suite of the MCP project, which needs Node 22 or later: `npm run test:conformance`. */
module.exports = {
  ...express5,
  displayName: 'conformance',
  testMatch: ['<rootDir>/__tests__/conformance/**/*.conformance.ts'],
  testTimeout: 60_000,
};
