'use strict';

const { execFileSync, spawn, spawnSync } = require('node:child_process');
const { existsSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const path = require('node:path');

const HELP = `The tests need a Redis server, 6.2 or later, and found no redis-server:
  Debian, Ubuntu   apt-get install redis-server
  macOS            brew install redis
  Fedora           dnf install redis`;

/** Makes sure that there is a redis-server, because the tests must not pass without it. On Debian, as root, it is installed. */
function ensureRedisServer() {
  const found = () => spawnSync('redis-server', ['--version']).status === 0;
  if (found()) return;
  if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    execFileSync('apt-get', ['update'], { stdio: 'ignore', env });
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'redis-server'], {
      stdio: 'ignore',
      env,
    });
  }
  if (!found()) throw new Error(HELP);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    socket.setTimeout(500, () => socket.destroy());
    socket.on('connect', () => socket.write('PING\r\n'));
    socket.on('data', (data) => {
      socket.destroy();
      resolve(data.toString().startsWith('+PONG'));
    });
  });
}

/**
 * Returns a port that is free, as is the one 10000 above it, a cluster's bus. Both are below those that the system gives to connections, so
 * that a server that was killed can take them again.
 */
async function serverPort() {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 10_000);
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port;
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Starts a private server on loopback. It can be killed and started again on its data. */
async function startRedis(args = []) {
  ensureRedisServer();
  const port = await serverPort();
  const directory = mkdtempSync(path.join(tmpdir(), 'oauth-redis-'));
  let child;

  async function start() {
    const settings = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--save',
      '',
      ...args,
    ];
    const started = spawn('redis-server', settings, { stdio: 'ignore' });
    child = started;
    for (let tries = 0; !(await accepts(port)); tries++) {
      if (tries > 200 || started.exitCode !== null) throw new Error(`redis-server did not start on ${port}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  function end(signal) {
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill(signal);
    });
  }

  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    start,
    kill: () => end('SIGKILL'),
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    stop: async () => {
      child.kill('SIGCONT');
      await end('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Starts a Sentinel that watches a server under the name `main`. `settings` are further lines of its configuration. */
async function startSentinel(master, { quorum = 1, settings = [] } = {}) {
  const port = await serverPort();
  const directory = mkdtempSync(path.join(tmpdir(), 'oauth-sentinel-'));
  const file = path.join(directory, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    `sentinel monitor main 127.0.0.1 ${master} ${quorum}`,
    ...settings,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  for (let tries = 0; !(await accepts(port)); tries++) {
    if (tries > 200 || child.exitCode !== null) throw new Error(`the Sentinel did not start on ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return {
    port,
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    stop: () => {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Starts three Sentinels, of which two decide, within a second. */
function startSentinels(master) {
  const settings = ['sentinel down-after-milliseconds main 1000', 'sentinel failover-timeout main 3000'];
  return Promise.all([1, 2, 3].map(() => startSentinel(master, { quorum: 2, settings })));
}

module.exports = { ensureRedisServer, freePort, serverPort, startRedis, startSentinel, startSentinels };
