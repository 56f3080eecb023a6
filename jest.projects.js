'use strict';

const { readdirSync, readFileSync } = require('node:fs');
const path = require('node:path');

/** Packages that are ES modules only, or import one: jest loads CommonJS. */
const ESM_ONLY = ['openid-client', 'oauth4webapi', 'jose', '@auth', '@panva', '@modelcontextprotocol/client'];

/**
 * `postgres` is whether any project of the run needs PostgreSQL: the setup runs once, for whichever project comes first, so all of
 * them say the same.
 */
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

/** The tests that differ from variant to variant: they name the variants of the run, see `__tests__/support/host.ts`. */
exports.testsWithVariants = () =>
  readdirSync(path.join(__dirname, '__tests__'), { recursive: true })
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => {
      const text = readFileSync(path.join(__dirname, '__tests__', file), 'utf8');
      return /\b(VARIANTS|STORES|MOUNTS)\b/.test(text);
    })
    .map((file) => `<rootDir>/__tests__/${file}`);

/**
 * A project on Express 5. A variant is a store (`memory`, `redis`, `postgres`, `sqlite`) and a mount (`root`, `prefix`): tests that
 * depend on them run once for each variant.
 */
exports.express5 = (options) =>
  project('express-5', { testMatch: ['<rootDir>/__tests__/**/*.test.ts'], ...options });

/** A project on Express 4. */
exports.express4 = (options) =>
  project('express-4', { moduleNameMapper: { '^express$': 'express4' }, ...options });

/** The tests of the PostgreSQL adapter alone. */
exports.postgres = project('postgres', {
  postgres: true,
  variants: ['postgres prefix'],
  testMatch: ['<rootDir>/__tests__/**/*.postgres.ts'],
});
