/**
 * A host in its own process, so that an unhandled rejection ends it as it would end any other. It reports its port and its events to the
 * parent, which may move its clock.
 */
import express from 'express';
import Redis, { Cluster } from 'ioredis';
import type { AddressInfo } from 'node:net';
import { Pool } from 'pg';
import { createClient, createCluster, createSentinel } from 'redis';

import { createOAuthRouter, redisAdapter, type Adapter } from 'express-oauth-router';
import { pgAdapter } from 'express-oauth-router/postgres';

import type { FaultStore, FromHost, ToHost } from './fault-host';

const { kind, ports, url = '', isolation, driver, isTuned } = JSON.parse(process.argv[2]!) as FaultStore;
const retry = (): number => 50;
/** The driver sends again what was not answered, or has the settings of `docs/production.md`. */
const settings = isTuned
  ? {
      connectTimeout: 500,
      socketTimeout: 600,
      commandTimeout: 700,
      maxRetriesPerRequest: 1,
      reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    }
  : { connectTimeout: 500, maxRetriesPerRequest: null };
const nodes = ports?.map((port) => ({ host: '127.0.0.1', port })) ?? [];

/** The settings of `docs/production.md` for the package `redis`. */
const nodeSettings = {
  socket: { connectTimeout: 500, socketTimeout: 600, reconnectStrategy: retry },
  pingInterval: 200,
  disableOfflineQueue: true,
  ...(isTuned && { commandOptions: { timeout: 700 } }),
};
type NodeClient = ReturnType<typeof createClient | typeof createCluster | typeof createSentinel>;
const CREATE_NODE: Record<Exclude<FaultStore['kind'], 'postgres'>, () => NodeClient> = {
  redis: () => createClient({ ...nodeSettings, url }),
  cluster: () => createCluster({ rootNodes: nodes.map((socket) => ({ socket })), defaults: nodeSettings }),
  sentinel: () =>
    createSentinel({
      name: 'main',
      sentinelRootNodes: nodes,
      nodeClientOptions: nodeSettings,
      sentinelClientOptions: nodeSettings,
    }),
};

const CREATE: Record<FaultStore['kind'], () => Adapter> = {
  redis: () => redisOf(new Redis(url, { ...settings, retryStrategy: retry })),
  cluster: () =>
    redisOf(
      new Cluster(nodes, {
        clusterRetryStrategy: retry,
        slotsRefreshInterval: 500,
        redisOptions: settings,
      }),
    ),
  sentinel: () =>
    redisOf(
      new Redis({
        ...settings,
        sentinels: nodes,
        name: 'main',
        retryStrategy: retry,
        sentinelRetryStrategy: retry,
        socketTimeout: 600,
        sentinelCommandTimeout: 200,
      }),
    ),
  postgres: () =>
    pgAdapter(
      new Pool({
        connectionString: url,
        max: 8,
        connectionTimeoutMillis: 400,
        statement_timeout: 400,
        ...(isolation && { options: `-c default_transaction_isolation=${isolation}` }),
      }),
    ),
};

function redisOf(client: Redis | Cluster): Adapter {
  client.on('error', () => undefined);
  return redisAdapter(client);
}

async function adapterOf(): Promise<Adapter> {
  if (driver !== 'redis' || kind === 'postgres') return CREATE[kind]();
  const client = CREATE_NODE[kind]();
  client.on('error', () => undefined);
  await client.connect();
  return redisAdapter(client);
}

let step = 0;
process.on('message', (message: ToHost) => (step = message.step));
// The runner may be killed.
process.on('disconnect', () => process.exit());
const report = (message: FromHost): void => void process.send!(message);

function serve(adapter: Adapter): void {
  const oauth = createOAuthRouter({
    issuer: 'http://localhost:3000',
    adapter,
    secrets: ['a secret of the tests that has more than 32 bytes'],
    clients: [
      {
        clientId: 'web',
        clientSecret: 'web-secret',
        redirectUris: ['https://app.example.com/callback'],
        scope: 'profile',
        firstParty: true,
      },
    ],
    authenticate: (req) => ({ id: req.get('x-user') ?? '' }),
    loginUrl: '/login',
    storeTimeout: 0.8,
    clock: () => Date.now() + step,
  });
  oauth.events.onAny((event) => report({ event }));
  const server = express()
    .use(oauth)
    .listen(0, '127.0.0.1', () => report({ port: (server.address() as AddressInfo).port }));
}

void adapterOf().then(serve);
