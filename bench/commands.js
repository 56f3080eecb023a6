/** Counts what an operation asks of its store, and how often it waits for it: `node commands.js`. */
import { createRequire } from 'node:module';
import net from 'node:net';

import { Client } from 'undici';

import { median, startRedis, startServer } from './harness.js';

const CANDIDATES = [
  ['ours', 'redis'],
  ['ours', 'postgres'],
  ['node-oauth', 'redis'],
  ['jmondi', 'redis'],
  ['mcp-sdk', 'redis'],
  ['oidc-provider', 'redis'],
  ['better-auth', 'postgres'],
];
const REQUESTS = 20;
/** How long answers of the store are held back, so that what is sent together is seen together. Milliseconds. */
const DELAY = 5;
/** The beginning of a command of Redis, and of a statement of PostgreSQL: prepared, or plain text such as BEGIN. */
const COMMANDS = {
  redis: /\*\d+\r\n\$\d+\r\n[a-z]+\r\n/gi,
  postgres: /E\0\0\0\x09\0|Q\0\0[^][^][a-z]/gi,
};

/** Passes bytes on to a store. What is sent before an answer to it has come is one wave. */
async function startProxy(url, pattern) {
  const { port, hostname } = new URL(url);
  const count = { commands: 0, waves: 0 };
  let isAnswered = true;
  const server = net.createServer((client) => {
    const store = net.connect(Number(port), hostname);
    client.on('data', (bytes) => {
      if (isAnswered) count.waves++;
      isAnswered = false;
      count.commands += bytes.toString('latin1').match(pattern)?.length ?? 0;
      store.write(bytes);
    });
    store.on('data', (bytes) => {
      setTimeout(() => {
        isAnswered = true;
        client.write(bytes);
      }, DELAY);
    });
    for (const socket of [client, store]) socket.on('error', () => undefined);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: url.replace(port, server.address().port), count };
}

const { startPostgres } = createRequire(import.meta.url)('../__tests__/support/postgres-server.js');
const [redis, postgres] = [await startRedis(), await startPostgres()];
console.log('| operation | server | commands | waves |\n|---|---|---|---|');
try {
  for (const [candidate, store] of CANDIDATES) {
    const proxy = await startProxy({ redis, postgres }[store].url, COMMANDS[store]);
    const server = await startServer(candidate, store, { REDIS_URL: proxy.url, POSTGRES_URL: proxy.url });
    const client = new Client(`http://127.0.0.1:${server.port}`);
    for (const operation of server.operations) {
      const specs = await server.ask('prepare', { operation, count: REQUESTS });
      const counted = [];
      for (const spec of specs) {
        const before = { ...proxy.count };
        const { body } = await client.request(spec);
        await body.text();
        counted.push([proxy.count.commands - before.commands, proxy.count.waves - before.waves]);
      }
      const [commands, waves] = [0, 1].map((part) => median(counted.map((one) => one[part])));
      console.log(`| ${operation} | ${server.name} | ${commands} | ${waves} |`);
    }
    server.stop();
  }
} finally {
  redis.stop();
  await postgres.stop();
}
process.exit(0);
