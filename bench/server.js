/** One candidate in its own process: `node server.js <candidate> <store>`. The parent talks to it over the channel of `fork()`. */
const [candidate, store] = process.argv.slice(2);
const { create } = await import(`./candidates/${candidate}.js`);
const server = await create({
  store,
  redisUrl: process.env.REDIS_URL,
  postgresUrl: process.env.POSTGRES_URL,
});
process.on('message', async ({ id, type, ...given }) => {
  try {
    const answers = {
      cpu: () => process.cpuUsage(),
      memory: () => {
        globalThis.gc();
        const { heapUsed: heap, rss } = process.memoryUsage();
        return { heap, rss };
      },
      prepare: () => server.prepare(given),
    };
    process.send({ id, result: await answers[type]() });
  } catch (error) {
    process.send({ id, error: String(error?.stack ?? error) });
  }
});
process.send({ ready: { port: server.port, operations: server.operations } });
