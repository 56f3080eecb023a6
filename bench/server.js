/** One candidate in its own process: `node server.js <candidate> <store>`. The parent talks to it over the channel of `fork()`. */
import { generateKeyPairSync, sign } from 'node:crypto';

const [candidate, store] = process.argv.slice(2);
const { create } = await import(`./candidates/${candidate}.js`);
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const payload = { sub: 'user', list: Array.from({ length: 20 }, (_, i) => `value ${i}`) };

/** The CPU time of the unit, in microseconds. */
function calibrate() {
  const rounds = 1500;
  const before = process.cpuUsage();
  for (let i = 0; i < rounds; i++) {
    const text = JSON.stringify(JSON.parse(JSON.stringify({ ...payload, i })));
    sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / rounds;
}

const server = await create({
  store,
  redisUrl: process.env.REDIS_URL,
  postgresUrl: process.env.POSTGRES_URL,
});
process.on('message', async ({ id, type, ...given }) => {
  try {
    const answers = {
      calibrate,
      cpu: () => process.cpuUsage(),
      memory: () => {
        globalThis.gc();
        const { heapUsed: heap, rss } = process.memoryUsage();
        return { heap, rss };
      },
      prepare: () => server.prepare(given),
      stop: () => process.exit(0),
    };
    process.send({ id, result: await answers[type]() });
  } catch (error) {
    process.send({ id, error: String(error?.stack ?? error) });
  }
});
process.send({ ready: { port: server.port, operations: server.operations } });
