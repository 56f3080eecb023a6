/** Measures the candidates side by side, and writes RESULTS.md. See README.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

import { Pool } from 'undici';

import { median, startRedis, startServer } from './harness.js';

const CANDIDATES = [
  ['limits', 'redis'],
  ['ours', 'memory'],
  ['ours', 'redis'],
  ['node-oauth', 'memory'],
  ['node-oauth', 'redis'],
  ['oidc-provider', 'memory'],
  ['oidc-provider', 'redis'],
  ['ours', 'postgres'],
  ['jmondi', 'memory'],
  ['jmondi', 'redis'],
  ['mcp-sdk', 'memory'],
  ['mcp-sdk', 'redis'],
  ['better-auth', 'postgres'],
  ['jwt-bearer', 'no store'],
];
/** Operations whose requests can be sent once only. */
const SPENT = ['code exchange', 'requireToken, new token', 'requireToken, DPoP'];
const { startPostgres } = createRequire(import.meta.url)('../__tests__/support/postgres-server.js');
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    requests: { type: 'string', default: '250' },
    connections: { type: 'string', default: '32' },
    only: { type: 'string', multiple: true },
    candidates: { type: 'string' },
    stores: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const [rounds, requests, connections] = [values.rounds, values.requests, values.connections].map(Number);
/** Turns of a server in a round. */
const turns = 5;
/** Turns before the first round, with 40,000 requests or more: V8 is still compiling until then. */
const firstTurns = Math.ceil(40_000 / requests);

function check(operation, { statusCode: status, headers }, body) {
  if (operation.startsWith('authorize')) {
    if (status !== 302 || !headers.location?.includes('code='))
      throw new Error(`${operation}: ${status} ${body}`);
    return {};
  }
  const parsed = JSON.parse(body);
  const isGood =
    status === 200 &&
    (operation === 'introspection'
      ? parsed.active === true
      : operation.startsWith('requireToken') || operation.startsWith('GET')
        ? parsed.ok === true
        : typeof parsed.access_token === 'string');
  if (!isGood) throw new Error(`${operation}: ${status} ${body}`);
  return parsed;
}

/** One operation of a server, measured in slices. */
function createSubject(server, operation) {
  const pool = new Pool(`http://127.0.0.1:${server.port}`, { connections, pipelining: 1 });
  const prepare = (count) => server.ask('prepare', { operation, count });
  // What is spent by its use is needed once for each request, and a refresh token yields the next one.
  const isSpent = SPENT.includes(operation);
  const reusable = isSpent ? undefined : prepare(connections);

  async function slice(count) {
    const specs = await (reusable ?? prepare(count));
    const times = [];
    let next = 0;
    const start = await server.ask('cpu');
    const worker = async (own) => {
      while (next < count) {
        const position = isSpent ? next : own;
        next++;
        const spec = specs[position];
        const started = performance.now();
        const response = await pool.request(spec);
        const parsed = check(operation, response, await response.body.text());
        times.push(performance.now() - started);
        if (operation !== 'refresh') continue;
        const parameters = new URLSearchParams(spec.body);
        parameters.set('refresh_token', parsed.refresh_token);
        specs[position] = { ...spec, body: parameters.toString() };
      }
    };
    await Promise.all(Array.from({ length: connections }, (_, own) => worker(own)));
    const end = await server.ask('cpu');
    times.sort((a, b) => a - b);
    return {
      micros: (end.user + end.system - start.user - start.system) / times.length,
      p99: times[Math.floor(times.length * 0.99)],
    };
  }
  return { server, operation, slice, close: () => pool.close() };
}

/**
 * Measures an operation of all servers. The turns are short: V8 gives up memory and compiled code of a
 * process that has nothing to do for seconds.
 */
async function measure(servers, operation, limit) {
  const subjects = servers
    .filter((server) => server.operations.includes(operation))
    .map((server) => ({ ...createSubject(server, operation), rounds: [] }));
  for (let turn = 0; turn < firstTurns; turn++) {
    await limit.slice(requests);
    for (const subject of subjects) await subject.slice(requests);
  }
  for (let turn = 0; turn < rounds * turns; turn++) {
    for (const subject of subjects) {
      if (turn % turns === 0) subject.rounds.unshift({ limit: 0, own: 0, p99: [] });
      const [round] = subject.rounds;
      // The machine may be twice as fast in the next second: each turn has one of the limit before it.
      round.limit += (await limit.slice(requests)).micros;
      const { micros, p99 } = await subject.slice(requests);
      round.own += micros;
      round.p99.push(p99);
    }
  }
  return subjects;
}

const redis = await startRedis();
const postgres = await startPostgres();
const servers = [];
for (const [candidate, store] of CANDIDATES) {
  if (values.candidates && candidate !== 'limits' && !values.candidates.split(',').includes(candidate))
    continue;
  if (values.stores && candidate !== 'limits' && !values.stores.split(',').includes(store)) continue;
  servers.push(await startServer(candidate, store, { REDIS_URL: redis.url, POSTGRES_URL: postgres.url }));
}
const operations = [...new Set(servers.flatMap((server) => server.operations))].filter(
  (operation) => !values.only || values.only.includes(operation),
);
const unknown = (values.only ?? []).filter((operation) => !operations.includes(operation));
if (unknown.length > 0) throw new Error(`no such operation: ${unknown.join(', ')}`);
const lines = ['| operation | server | CPU, L2 = 1.00 | quartiles | p99 ms |', '|---|---|---|---|---|'];
const limit = createSubject(servers[0], 'L2');
try {
  for (const operation of operations) {
    for (const { server, close, rounds: measured } of await measure(servers, operation, limit)) {
      const ratios = measured.map((round) => round.own / round.limit).sort((a, b) => a - b);
      const [low, high] = [0.25, 0.75].map((part) => ratios[Math.floor(ratios.length * part)].toFixed(2));
      const p99 = median(measured.flatMap((round) => round.p99)).toFixed(1);
      lines.push(
        `| ${operation} | ${server.name} | ${median(ratios).toFixed(2)} | ${low} to ${high} | ${p99} |`,
      );
      await close();
    }
    console.error(operation);
  }
} finally {
  for (const server of servers) server.stop();
  redis.stop();
  await postgres.stop();
}

const table = lines.join('\n');
console.log(table);

if (values.write) {
  const versionOf = (name) =>
    JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
  const PACKAGES = [
    'express',
    '@node-oauth/oauth2-server',
    '@jmondi/oauth2-server',
    '@modelcontextprotocol/sdk',
    'oidc-provider',
    'better-auth',
    '@better-auth/oauth-provider',
    'express-oauth2-jwt-bearer',
    'ioredis',
    'pg',
  ];
  const versions = PACKAGES.map((name) => `${name} ${versionOf(name)}`).join(', ');
  const text = `# Results

${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${cpus()[0].model.trim()}, ${rounds} rounds of ${turns} turns of ${requests} requests over
${connections} connections; ${versions}. CPU time of the server for each request, relative to that of L2 in the same seconds: see [README.md](README.md).
The median of the rounds, and the quartiles.

${table}
`;
  const file = new URL('RESULTS.md', import.meta.url);
  // The other parts are results of the other scripts, and of this one with other options.
  const [, scale = ''] = readFileSync(file, 'utf8').split('\n## Scale\n');
  writeFileSync(file, scale === '' ? text : `${text}\n## Scale\n${scale}`);
}
process.exit(0);
