'use strict';

const { execFileSync, spawn } = require('node:child_process');
const { existsSync, mkdtempSync, readdirSync, rmSync, chownSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');

const { serverPort } = require('./redis-server.js');

const HELP = `These tests need PostgreSQL 12 or later, and found no initdb:
  Debian, Ubuntu   apt-get install postgresql
  macOS            brew install postgresql
  Fedora           dnf install postgresql-server`;

/** Debian does not put the server's programs on the path. */
const DEBIAN = '/usr/lib/postgresql';

function findPrograms() {
  const onPath = (process.env.PATH ?? '').split(path.delimiter);
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...versions.map((version) => path.join(DEBIAN, version, 'bin')), ...onPath];
  return folders.find((folder) => existsSync(path.join(folder, 'initdb')));
}

/** Returns the folder of the server's programs. On Debian, as root, they are installed. */
function programs() {
  if (!findPrograms() && process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
    const settings = { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
    execFileSync('apt-get', ['update'], settings);
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'postgresql'], settings);
  }
  const found = findPrograms();
  if (!found) throw new Error(HELP);
  return found;
}

/** The server refuses to run as root. */
function identity() {
  if (process.getuid?.() !== 0) return {};
  const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** Starts a private server on loopback. It can be stopped and started again on its data. */
async function startPostgres(args = []) {
  const folder = programs();
  const owner = identity();
  const directory = mkdtempSync(path.join(tmpdir(), 'oauth-postgres-'));
  if (owner.uid !== undefined) chownSync(directory, owner.uid, owner.gid);
  const settings = { ...owner, cwd: directory, stdio: 'ignore' };
  const initialize = [
    '-D',
    directory,
    '-U',
    'postgres',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C.UTF-8',
    '--no-sync',
  ];
  execFileSync(path.join(folder, 'initdb'), initialize, settings);
  const port = await serverPort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  let child;

  async function start() {
    const options = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off', ...args];
    const started = spawn(
      path.join(folder, 'postgres'),
      ['-D', directory, '-p', String(port), ...options.flatMap((option) => ['-c', option])],
      settings,
    );
    child = started;
    for (let tries = 0; !(await accepts(url)); tries++) {
      if (tries > 200 || started.exitCode !== null) throw new Error(`postgres did not start on ${port}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** SIGINT disconnects everybody and stops; SIGQUIT stops without a shutdown, and the next start recovers. */
  function end(signal) {
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill(signal);
    });
  }

  await start();
  return {
    url,
    start,
    crash: () => end('SIGQUIT'),
    stop: async () => {
      await end('SIGINT');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function accepts(connectionString) {
  const { Client } = require('pg');
  const client = new Client({ connectionString, connectionTimeoutMillis: 1000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

module.exports = { startPostgres };
