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
  ['jwt-bearer', 'no store'],
];
/** Operations whose requests can be sent once only. */
const SPENT = ['code exchange', 'requireToken, new token', 'requireToken, DPoP'];
const { startPostgres } = createRequire(import.meta.url)('../__tests__/support/postgres-server.js');
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    requests: { type: 'string', default: '1000' },
    connections: { type: 'string', default: '32' },
    only: { type: 'string' },
    candidates: { type: 'string' },
    stores: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const [rounds, requests, connections] = [values.rounds, values.requests, values.connections].map(Number);

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
      : operation.startsWith('requireToken') || operation === 'GET'
        ? parsed.ok === true
        : typeof parsed.access_token === 'string');
  if (!isGood) throw new Error(`${operation}: ${status} ${body}`);
  return parsed;
}

/** Sends requests, and returns the time of each in milliseconds. */
async function load(pool, operation, specs, count) {
  let next = 0;
  const times = [];
  const worker = async (own) => {
    let chained = specs[own % specs.length];
    while (next < count) {
      const position = next++;
      const spec = operation === 'refresh' ? chained : specs[position % specs.length];
      const started = performance.now();
      const response = await pool.request(spec);
      const parsed = check(operation, response, await response.body.text());
      times.push(performance.now() - started);
      if (operation === 'refresh') {
        const parameters = new URLSearchParams(spec.body);
        parameters.set('refresh_token', parsed.refresh_token);
        chained = { ...spec, body: parameters.toString() };
      }
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, own) => worker(own)));
  return times;
}

async function measure(server, operation) {
  const pool = new Pool(`http://127.0.0.1:${server.port}`, { connections, pipelining: 1 });
  // What is spent by its use is needed once for each request, and a refresh token yields the next one.
  const isSpent = SPENT.includes(operation);
  const prepare = (count) => server.ask('prepare', { operation, count });
  const enough = (count) => (isSpent ? count : operation === 'refresh' ? connections : 64);
  const warmUp = Math.ceil(requests / 3);
  await load(pool, operation, await prepare(enough(warmUp)), warmUp);
  const specs = await prepare(enough(requests));
  const before = await server.ask('calibrate');
  const start = await server.ask('cpu');
  const times = await load(pool, operation, specs, requests);
  const end = await server.ask('cpu');
  const after = await server.ask('calibrate');
  await pool.close();
  const micros = (end.user + end.system - start.user - start.system) / times.length;
  times.sort((a, b) => a - b);
  return { units: micros / ((before + after) / 2), micros, p99: times[Math.floor(times.length * 0.99)] };
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
const results = new Map();
try {
  for (let round = 1; round <= rounds; round++) {
    for (const server of servers) {
      for (const operation of server.operations) {
        if (values.only && server.candidate !== 'limits' && !values.only.split(',').includes(operation))
          continue;
        const key = `${server.name}|${operation}`;
        results.set(key, [...(results.get(key) ?? []), await measure(server, operation)]);
      }
    }
    console.error(`round ${round} of ${rounds}`);
  }
} finally {
  for (const server of servers) server.stop();
  redis.stop();
  await postgres.stop();
}

const limit = median(results.get('limits (redis)|L2').map(({ units }) => units));
const operations = [...new Set([...results.keys()].map((key) => key.split('|')[1]))];
const lines = [
  '| operation | server | CPU, L2 = 1.00 | lowest to highest | p99 ms |',
  '|---|---|---|---|---|',
];
for (const operation of operations) {
  for (const server of servers) {
    const measured = results.get(`${server.name}|${operation}`);
    if (!measured) continue;
    const units = measured.map((one) => one.units / limit).sort((a, b) => a - b);
    const spread = `${units[0].toFixed(2)} to ${units.at(-1).toFixed(2)}`;
    const p99 = median(measured.map((one) => one.p99)).toFixed(1);
    lines.push(`| ${operation} | ${server.name} | ${median(units).toFixed(2)} | ${spread} | ${p99} |`);
  }
}
const table = lines.join('\n');
console.log(table);

if (values.write) {
  const versionOf = (name) =>
    JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
  const versions = ['express', '@node-oauth/oauth2-server', 'oidc-provider', 'ioredis']
    .map((name) => `${name} ${versionOf(name)}`)
    .join(', ');
  const text = `# Results

${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${cpus()[0].model.trim()}, ${rounds} rounds of ${requests} requests over ${connections}
connections; ${versions}. CPU time of the server for each request, relative to L2 in the same run: see [README.md](README.md).
The median of the rounds, and the lowest and the highest.

${table}
`;
  writeFileSync(new URL('RESULTS.md', import.meta.url), text);
}
process.exit(0);
