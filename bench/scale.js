/** Measures what must not grow: `node scale.js --grants 1000000 --requests 300000`. Prints lines for RESULTS.md. */
import { parseArgs } from 'node:util';

import { Redis } from 'ioredis';
import { Pool } from 'undici';

import { median, startRedis, startServer } from './harness.js';

const { values } = parseArgs({
  options: {
    grants: { type: 'string', default: '1000000' },
    requests: { type: 'string', default: '1000000' },
  },
});
const [grants, requests] = [values.grants, values.requests].map(Number);
const SLICES = 15;
const CONNECTIONS = 32;

const redis = await startRedis();
const urls = { REDIS_URL: redis.url };
const admin = new Redis(redis.url);
const usedMemory = async () => Number(/used_memory:(\d+)/.exec(await admin.info('memory'))[1]);

/** Sends requests for refreshing or for client credentials. Returns the CPU time of the server for each, in microseconds. */
function clientOf(server, operation) {
  const pool = new Pool(`http://127.0.0.1:${server.port}`, { connections: CONNECTIONS, pipelining: 1 });
  const specs = server.ask('prepare', { operation, count: CONNECTIONS });
  return async (count) => {
    const held = await specs;
    const start = await server.ask('cpu');
    let sent = 0;
    await Promise.all(
      held.map(async (spec, own) => {
        while (sent++ < count) {
          const { statusCode, body } = await pool.request(held[own]);
          const parsed = await body.json();
          if (statusCode !== 200) throw new Error(JSON.stringify(parsed));
          if (operation !== 'refresh') continue;
          const parameters = new URLSearchParams(spec.body);
          parameters.set('refresh_token', parsed.refresh_token);
          held[own] = { ...spec, body: parameters.toString() };
        }
      }),
    );
    const end = await server.ask('cpu');
    return (end.user + end.system - start.user - start.system) / count;
  };
}

/** Measures two things in turn. Returns the median of the second relative to the first, and the quartiles. */
async function ratioOf(first, second) {
  await first(2000);
  await second(2000);
  const ratios = [];
  for (let slice = 0; slice < SLICES; slice++) {
    const one = await first(1000);
    ratios.push((await second(1000)) / one);
  }
  ratios.sort((a, b) => a - b);
  const quartile = (part) => ratios[Math.floor(SLICES * part)].toFixed(2);
  return `${median(ratios).toFixed(2)} (${quartile(0.25)} to ${quartile(0.75)})`;
}

for (const store of ['memory', 'redis']) {
  const fewRedis = await startRedis();
  const few = await startServer('ours', store, { REDIS_URL: fewRedis.url });
  await few.ask('prepare', { operation: 'live grants', count: 1000 });
  const many = await startServer('ours', store, urls);
  await many.ask('prepare', { operation: 'live grants', count: 1 });
  const empty = await usedMemory();
  await many.ask('prepare', { operation: 'live grants', count: 100_000 });
  if (store === 'redis')
    console.log(
      `bytes of Redis for a live grant of a user of its own, at 100,000: ${(((await usedMemory()) - empty) / 100_000).toFixed(0)}`,
    );
  await many.ask('prepare', { operation: 'live grants', count: grants - 100_000 });
  const ratio = await ratioOf(clientOf(few, 'refresh'), clientOf(many, 'refresh'));
  console.log(`refresh on ${store}, ${grants} live grants relative to 1,000: ${ratio}`);
  for (const server of [few, many]) server.stop();
  fewRedis.stop();
}

// The other process is on the other core: what is measured is one store for both, and not one core for both.
const [one, other] = [await startServer('ours', 'redis', urls), await startServer('ours', 'redis', urls, 1)];
const [measureOne, measureOther] = [clientOf(one, 'refresh'), clientOf(other, 'refresh')];
const both = async (count) => (await Promise.all([measureOne(count), measureOther(count)]))[0];
console.log(`refresh on redis, two processes relative to one: ${await ratioOf(measureOne, both)}`);
for (const server of [one, other]) server.stop();

const server = await startServer('ours', 'redis', urls);
const send = clientOf(server, 'refresh');
await send(20_000);
const sizes = [];
for (let part = 0; part <= 10; part++) {
  sizes.push(await server.ask('memory'));
  if (part < 10) await send(requests / 10);
}
console.log(
  `memory of a process over ${requests} refreshes, MB of heap and of RSS: ${sizes.map(({ heap, rss }) => `${(heap / 1e6).toFixed(1)}/${(rss / 1e6).toFixed(0)}`).join(' ')}`,
);
server.stop();
admin.disconnect();
redis.stop();
process.exit(0);
