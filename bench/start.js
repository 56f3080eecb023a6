/** Measures what the package adds to the start of a process, beyond express and ioredis: `node start.js`. */
import { execFileSync } from 'node:child_process';

import { median } from './harness.js';

const SCRIPT = `
require('express');
require('ioredis');
const started = performance.now();
const { createOAuthRouter } = require('express-oauth-router');
const loaded = performance.now();
createOAuthRouter({ issuer: 'http://localhost:3000/oauth', authenticate: () => undefined, loginUrl: '/login' });
console.log(loaded - started, performance.now() - loaded);
`;
const starts = Array.from({ length: 15 }, () =>
  execFileSync(process.execPath, ['-e', SCRIPT], { encoding: 'utf8' }).split(' ').map(Number),
);
const [loading, creating] = [0, 1].map((part) => median(starts.map((start) => start[part])).toFixed(0));
console.log(`loading the package: ${loading} ms, creating a router: ${creating} ms`);
