'use strict';

/** Packages that are ES modules only, or import one: jest loads CommonJS. */
const ESM_ONLY = ['openid-client', 'oauth4webapi', 'jose', '@auth', '@panva', '@modelcontextprotocol/client'];

/** `postgres` is whether any project of the run needs PostgreSQL: the setup runs once, for whichever project comes first. */
const project = (
  displayName,
  { variants, moduleNameMapper = {}, testMatch, ignored = [], postgres = false },
) => ({
  displayName,
  testEnvironment: 'node',
  globalSetup: '<rootDir>/__tests__/support/global-setup.js',
  globalTeardown: '<rootDir>/__tests__/support/global-teardown.js',
  globals: { VARIANTS: variants, POSTGRES: postgres },
  transform: {
    '\\.[cm]?[jt]s$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${ESM_ONLY.join('|')})/)`],
  moduleNameMapper: {
    '^express-oauth-router$': '<rootDir>/lib/index.ts',
    '^express-oauth-router/adapter-contract$': '<rootDir>/lib/adapter-contract/suite.ts',
    '^express-oauth-router/(postgres|sqlite)$': '<rootDir>/lib/adapters/$1.ts',
    ...moduleNameMapper,
  },
  testMatch,
  testPathIgnorePatterns: ['/node_modules/', ...ignored],
});

/** Long tests that have no variants: the run of every variant leaves them out. */
exports.WITHOUT_VARIANTS = [
  'adapters/contract',
  'adapters/contract-mistakes',
  'adapters/double-spending',
  'adapters/sqlite',
  'at-rest',
  'cli',
  'docs/snippets',
  'grants/redemption-model',
  'grants/refresh-model',
  'http/generated-documents',
  'http/generated-requests',
  'resource/token-verifier',
].map((name) => `/__tests__/${name}\\.test\\.ts$`);

/**
 * The projects of a run. A variant is a store (`memory`, `redis`, `postgres`, `sqlite`) and a mount (`root`, `prefix`): tests that
 * depend on them run once for each variant. `kinds` are the endings of the tests' names, `ignored`
 * the files that do not run.
 */
exports.projects = ({ express5, express4, kinds = 'test', ignored, postgres = false }) => [
  project('express-5', {
    postgres,
    ignored,
    variants: express5,
    testMatch: [`<rootDir>/__tests__/**/*.${kinds}.ts`],
  }),
  project('express-4', {
    postgres,
    ignored,
    variants: express4.variants,
    moduleNameMapper: { '^express$': 'express4' },
    testMatch: [`<rootDir>/__tests__/{${express4.folders.join(',')}}/**/*.test.ts`],
  }),
];

/** The tests of the PostgreSQL adapter alone. */
exports.postgres = project('postgres', {
  postgres: true,
  variants: ['postgres prefix'],
  testMatch: ['<rootDir>/__tests__/**/*.postgres.ts'],
});
