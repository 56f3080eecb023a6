/** Measures the candidates side by side, and writes RESULTS.md. See README.md. */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

import { Pool } from 'undici';

const CANDIDATES = [
  ['limits', 'redis'],
  ['ours', 'memory'],
  ['ours', 'redis'],
  ['node-oauth', 'memory'],
  ['node-oauth', 'redis'],
  ['oidc-provider', 'memory'],
  ['oidc-provider', 'redis'],
];
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    requests: { type: 'string', default: '3000' },
    connections: { type: 'string', default: '32' },
    only: { type: 'string' },
    candidates: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const [rounds, requests, connections] = [values.rounds, values.requests, values.connections].map(Number);

/** Runs something on one core: the servers on the first, everything else on the second. */
const onCore = (core, command, args) => ['taskset', ['-c', String(core), command, ...args]];
execFileSync('taskset', ['-p', '-c', '1', String(process.pid)], { stdio: 'ignore' });

const freePort = () =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

async function startRedis() {
  const port = await freePort();
  const child = spawn(
    ...onCore(1, 'redis-server', ['--port', String(port), '--save', '', '--bind', '127.0.0.1']),
    {
      stdio: 'ignore',
    },
  );
  await new Promise((resolve) => setTimeout(resolve, 500));
  return { url: `redis://127.0.0.1:${port}`, stop: () => child.kill() };
}

async function startServer(candidate, store, redisUrl) {
  const [command, args] = onCore(0, process.execPath, ['server.js', candidate, store]);
  const child = spawn(command, args, {
    stdio: ['ignore', 'inherit', 'ignore', 'ipc'],
    env: { ...process.env, REDIS_URL: redisUrl },
  });
  const pending = new Map();
  let ids = 0;
  const ready = new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`${candidate} ended with ${code}`)));
    child.on('message', (message) => {
      if (message.ready) return resolve(message.ready);
      const { resolve: settle, reject: fail } = pending.get(message.id);
      pending.delete(message.id);
      if (message.error) fail(new Error(message.error));
      else settle(message.result);
    });
  });
  const { port, operations } = await ready;
  const ask = (type, given = {}) =>
    new Promise((resolve, reject) => {
      pending.set(++ids, { resolve, reject });
      child.send({ id: ids, type, ...given });
    });
  return {
    name: `${candidate} (${store})`,
    candidate,
    store,
    port,
    operations,
    ask,
    stop: () => child.kill(),
  };
}

function check(operation, status, body) {
  const parsed = JSON.parse(body);
  const isGood =
    status === 200 &&
    (operation === 'introspection'
      ? parsed.active === true
      : ['requireToken', 'GET'].includes(operation)
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
      const { statusCode, body } = await pool.request(spec);
      const parsed = check(operation, statusCode, await body.text());
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
  const isSpent = operation === 'code exchange';
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

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

const redis = await startRedis();
const servers = [];
for (const [candidate, store] of CANDIDATES) {
  if (values.candidates && candidate !== 'limits' && !values.candidates.split(',').includes(candidate))
    continue;
  servers.push(await startServer(candidate, store, redis.url));
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
