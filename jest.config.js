'use strict';

/** Packages that are ES modules only: jest loads CommonJS. */
const ESM_ONLY = ['openid-client', 'oauth4webapi', 'jose'];

const project = (displayName, moduleNameMapper, rest) => ({
  displayName,
  testEnvironment: 'node',
  globalSetup: '<rootDir>/__tests__/support/global-setup.js',
  globalTeardown: '<rootDir>/__tests__/support/global-teardown.js',
  transform: {
    '\\.[cm]?[jt]s$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${ESM_ONLY.join('|')})/)`],
  moduleNameMapper: {
    '^express-oauth-router$': '<rootDir>/lib/index.ts',
    '^express-oauth-router/adapter-contract$': '<rootDir>/lib/adapters/contract-suite.ts',
    ...moduleNameMapper,
  },
  ...rest,
});

/** Everything on Express 5; what goes through HTTP on Express 4 too. */
module.exports = {
  projects: [
    project('express 5', {}, { testMatch: ['<rootDir>/__tests__/**/*.test.ts'] }),
    project(
      'express 4',
      { '^express$': 'express4' },
      {
        testMatch: ['<rootDir>/__tests__/{endpoints,http,resource}/**/*.test.ts'],
        globals: { EXPRESS_4: true },
      },
    ),
  ],
  testTimeout: 30_000,
};
