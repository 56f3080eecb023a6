/** Starts stores and servers, each on a core. */
import { execFileSync, spawn } from 'node:child_process';
import net from 'node:net';

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

export async function startRedis() {
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

export async function startServer(candidate, store, urls, core = 0) {
  const [command, args] = onCore(core, process.execPath, ['--expose-gc', 'server.js', candidate, store]);
  const child = spawn(command, args, {
    stdio: ['ignore', 'inherit', 'ignore', 'ipc'],
    env: { ...process.env, ...urls },
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

export const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
