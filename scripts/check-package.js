'use strict';

/**
 * Checks the package as users get it: the packed tarball, with publint and attw, and installed in four kinds of consumers that
 * run or compile.
 */
const { execFileSync } = require('node:child_process');
const { mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');

const root = path.join(__dirname, '..');
const work = mkdtempSync(path.join(tmpdir(), 'oauth-package-'));
const run = (command, args, cwd = root) =>
  execFileSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
let passed = 0;
const done = (what) => {
  passed++;
  console.log(`ok ${what}`);
};

/** The first code that a host writes, and a check of its result. */
const USE = `
const oauth = createOAuthRouter({
  issuer: 'http://localhost:3000/oauth',
  clients: [{ clientId: 'machine', clientSecret: 'secret', grantTypes: ['client_credentials'] }],
  authenticate: () => undefined,
  loginUrl: '/login',
});
const app = express().use('/oauth', oauth);
const server = app.listen(0, '127.0.0.1', async () => {
  const response = await fetch('http://127.0.0.1:' + server.address().port + '/oauth/token', {
    method: 'POST',
    headers: { Authorization: 'Basic ' + btoa('machine:secret') },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  });
  const { token_type: type } = await response.json();
  server.close();
  if (type !== 'Bearer' || !(new OAuthError('x') instanceof Error) || typeof adapterContract !== 'function' || typeof pgAdapter !== 'function' || typeof sqliteAdapter !== 'function') process.exit(1);
});
`;

/** The integration of the README, in strict TypeScript. */
const TYPESCRIPT = `
import express, { type Request } from 'express';
import { createOAuthRouter, createTokenVerifier, memoryAdapter, OAuthError, redisAdapter, type Adapter } from 'express-oauth-router';
import { adapterContract } from 'express-oauth-router/adapter-contract';
import { pgAdapter } from 'express-oauth-router/postgres';
import { sqliteAdapter } from 'express-oauth-router/sqlite';

interface User { id: string; name: string }
declare module 'express' { interface Request { session: { user?: User } } }
declare const app: express.Express;
declare function ordersOf(user: string): unknown;

const oauth = createOAuthRouter({
  issuer: 'https://api.example.com/oauth',
  adapter: memoryAdapter(),
  secrets: [process.env.OAUTH_SECRET],
  signingKeys: [process.env.OAUTH_SIGNING_KEY],
  clients: [{ clientId: 'web', redirectUris: ['https://app.example.com/callback'], scope: 'profile orders:read' }],
  authenticate: (req: Request) => (req as Request & { session: { user?: User } }).session.user,
  loadUser: (userId) => ({ id: userId, name: 'x' }),
  claims: ({ user }) => ({ name: user?.name }),
  userClaims: ({ user, target }) => (target === 'userinfo' ? { name: user?.name } : {}),
  loginUrl: '/login',
});
app.use('/oauth', oauth);
app.use(oauth.wellKnown);
app.get('/orders', oauth.requireToken({ scope: 'orders:read' }), (req, res) => { res.json(ordersOf(req.oauth.subject)); });
const { requireToken } = createTokenVerifier({ issuer: 'https://api.example.com/oauth', audience: 'https://orders.example.com' });
app.get('/elsewhere', requireToken({ scope: 'orders:read' }), (req, res) => { res.json(req.oauth.claims.cnf?.jkt); });
oauth.events.on('refresh_token.reused', ({ userId }) => userId?.length);
export const mixed: Adapter = { ...memoryAdapter(), getClient: () => undefined };
export const error: Error = new OAuthError('access_denied');
export { adapterContract, pgAdapter, redisAdapter, sqliteAdapter };
`;

/** Prints the packages that importing the main entry loads: a process that verifies tokens has no use for an authorization server. */
const LOADED = `
require('express-oauth-router');
const packages = Object.keys(require.cache).map((file) => file.split('node_modules/').at(-1).match(/^(@[^/]+\\/)?[^/]+/)[0]);
console.log([...new Set(packages)].sort().join());
`;

try {
  const [{ filename }] = JSON.parse(
    run('npm', ['pack', '--json', '--silent', '--pack-destination', work]).replace(/^[^[]*/, ''),
  );
  const tarball = path.join(work, filename);
  run('npx', ['publint', '--strict', tarball]);
  done('publint');
  run('npx', ['attw', tarball]);
  done('are the types wrong');

  const consumer = (name, packages, files) => {
    const directory = path.join(work, name);
    mkdirSync(directory);
    const manifest = { name, private: true };
    for (const [file, text] of Object.entries({ 'package.json': JSON.stringify(manifest), ...files }))
      writeFileSync(path.join(directory, file), text);
    run(
      'npm',
      ['install', '--silent', '--no-audit', '--no-fund', '--omit=optional', tarball, ...packages],
      directory,
    );
    return directory;
  };

  const commonjs = consumer('commonjs', ['express@4'], {
    'index.js': `const express = require('express');
const { createOAuthRouter, OAuthError } = require('express-oauth-router');
const { adapterContract } = require('express-oauth-router/adapter-contract');
const { pgAdapter } = require('express-oauth-router/postgres');
const { sqliteAdapter } = require('express-oauth-router/sqlite');
${USE}`,
  });
  run(process.execPath, ['index.js'], commonjs);
  done('a CommonJS host on Express 4');
  const loaded = run(process.execPath, ['-e', LOADED], commonjs).trim();
  if (loaded !== 'express-oauth-router,lru-cache') throw new Error(`the main entry loads ${loaded}`);
  done('the main entry loads no dependency before it is used');
  if (!/^OAUTH_SECRET=/.test(run('npx', ['express-oauth-router', 'init'], commonjs)))
    throw new Error('init printed no secret');
  done('npx express-oauth-router init');

  // The package's dependency for providers is an ES module, which the CommonJS jest of a host cannot load.
  const jestOfHost = consumer('jest', ['express@5'], {
    'host.test.js': `const express = require('express');
const { createOAuthRouter, oidcProvider, providerPresets } = require('express-oauth-router');
test('a host with providers', async () => {
  const oauth = createOAuthRouter({
    issuer: 'http://localhost:3000/oauth',
    clients: [{ clientId: 'machine', clientSecret: 'secret', grantTypes: ['client_credentials'] }],
    federation: {
      providers: { google: oidcProvider({ ...providerPresets.google, clientId: 'x', clientSecret: 'y' }) },
      resolveUser: () => undefined,
    },
    authenticate: () => undefined,
    loginUrl: '/login',
  });
  const server = express().use('/oauth', oauth).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const response = await fetch('http://127.0.0.1:' + server.address().port + '/oauth/token', {
    method: 'POST',
    headers: { Authorization: 'Basic ' + btoa('machine:secret') },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  });
  expect((await response.json()).token_type).toBe('Bearer');
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
`,
  });
  const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  run(process.execPath, [jest, '--rootDir', jestOfHost], jestOfHost);
  done('the CommonJS jest of a host with providers');

  const modules = consumer('modules', ['express@5'], {
    'index.mjs': `import express from 'express';
import { createOAuthRouter, OAuthError } from 'express-oauth-router';
import { adapterContract } from 'express-oauth-router/adapter-contract';
import { pgAdapter } from 'express-oauth-router/postgres';
import { sqliteAdapter } from 'express-oauth-router/sqlite';
${USE}`,
  });
  run(process.execPath, ['index.mjs'], modules);
  done('an ES module host on Express 5');

  const { devDependencies } = require('../package.json');
  const typings = ['typescript', '@types/express', '@types/node'].map(
    (name) => `${name}@${devDependencies[name]}`,
  );
  const typescript = consumer('typescript', ['express@5', ...typings], {
    'index.ts': TYPESCRIPT,
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        strict: true,
        skipLibCheck: false,
        module: 'nodenext',
        target: 'es2022',
        noEmit: true,
        esModuleInterop: true,
        types: ['node'],
      },
    }),
  });
  run('npx', ['tsc'], typescript);
  done('a TypeScript host, every declaration checked, without ioredis');
  console.log(`${passed} passed, 0 failed`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
