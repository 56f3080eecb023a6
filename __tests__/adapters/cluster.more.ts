import Redis, { Cluster } from 'ioredis';

import { createCluster, createSentinel } from 'redis';

import { redisAdapter, type NodeRedisClient } from 'express-oauth-router';
import { adapterContract } from 'express-oauth-router/adapter-contract';

import { applicable } from '../support/applicable';
import { getCode, getTokens, isActive, makeHost, redeem, refresh } from '../support/host';
import { startRedis, startSentinel, type RedisServer } from '../support/redis-server';

const SLOTS = 16_384;

/** Three masters on loopback, a third of the slots each. */
describe('redisAdapter on a cluster', () => {
  const servers: RedisServer[] = [];
  let cluster: Cluster;

  beforeAll(async () => {
    while (servers.length < 3) {
      const server = await startRedis(['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000']);
      servers.push(server);
    }
    const nodes = servers.map(({ url }) => new Redis(url));
    const third = Math.ceil(SLOTS / nodes.length);
    for (const [position, node] of nodes.entries()) {
      const slots = Array.from({ length: SLOTS }, (_, slot) => slot).filter(
        (slot) => Math.floor(slot / third) === position,
      );
      await node.call('CLUSTER', 'ADDSLOTS', ...slots);
      await nodes[0]!.call('CLUSTER', 'MEET', '127.0.0.1', servers[position]!.port);
    }
    for (const node of nodes) {
      for (let tries = 0; ; tries++) {
        const info = String(await node.call('CLUSTER', 'INFO'));
        if (info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3')) break;
        if (tries > 400) throw new Error(info);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      node.disconnect();
    }
    cluster = new Cluster(servers.map(({ port }) => ({ host: '127.0.0.1', port })));
    cluster.on('error', () => undefined);
  }, 60_000);

  afterAll(async () => {
    cluster.disconnect();
    await Promise.all(servers.map((server) => server.stop()));
  });

  adapterContract(() => ({ adapter: redisAdapter(cluster) }), applicable, {
    without: ['sweep', 'other', 'unreachable'],
  });

  it('sends the commands of one turn of the event loop in one write to each node', async () => {
    const adapter = redisAdapter(cluster, { prefix: 'one-write:' });
    const keys = Array.from({ length: 60 }, (_, position) => String(position));
    await Promise.all(keys.map((key) => adapter.put(key, key, 60_000)));
    const read = keys.map(async (key) => adapter.get(key));
    const streams = cluster.nodes('master').map(({ stream }) => stream);
    for (const { writableLength } of streams) expect(writableLength).toBeGreaterThan(0);
    await new Promise(setImmediate);
    expect(streams.map(({ writableCorked }) => writableCorked)).toEqual([0, 0, 0]);
    expect(await Promise.all(read)).toEqual(keys);
  });

  describe('with a client of the package redis', () => {
    let client: NodeRedisClient & { connect(): Promise<unknown>; close(): Promise<unknown> };

    beforeAll(async () => {
      const rootNodes = servers.map(({ url }) => ({ url }));
      client = createCluster({ rootNodes });
      await client.connect();
    });
    afterAll(() => client.close());

    adapterContract(() => ({ adapter: redisAdapter(client) }), applicable, {
      without: ['sweep', 'other', 'unreachable'],
    });
  });

  it('serves the whole flow, over all the masters', async () => {
    const host = makeHost(
      { store: 'redis', mount: 'root' },
      { adapter: redisAdapter(cluster, { prefix: 'flow:' }) },
    );
    for (let round = 0; round < 20; round++) {
      const { refresh_token: token, access_token: accessToken } = await getTokens(host);
      expect((await refresh(host, 'web', token)).status).toBe(200);
      expect(await isActive(host, accessToken)).toBe(true);
    }
    // The grants lie on every master.
    const keys = await Promise.all(cluster.nodes('master').map((node) => node.keys('flow:grant:*')));
    expect(keys.map((ofNode) => ofNode.length > 0)).toEqual([true, true, true]);

    const issued = await getCode(host);
    const answers = await Promise.all(Array.from({ length: 20 }, async () => redeem(host, 'web', issued)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await host.oauth.revokeGrants({ userId: 'alice' })).toBe(21);
  });

  it('refuses a client that reads from replicas', () => {
    const options = [{ scaleReads: 'slave' }, { scaleReads: 'all' }] as const;
    for (const option of options) {
      const reading = new Cluster([{ host: '127.0.0.1', port: servers[0]!.port }], {
        ...option,
        lazyConnect: true,
      });
      expect(() => redisAdapter(reading)).toThrow(/scaleReads/);
      reading.disconnect();
    }
  });
});

describe('redisAdapter on a Sentinel of the package redis', () => {
  it('sends its commands and scripts to the master', async () => {
    const server = await startRedis();
    const sentinel = await startSentinel(server.port);
    const sentinelRootNodes = [{ host: '127.0.0.1', port: sentinel.port }];
    const client = createSentinel({ name: 'main', sentinelRootNodes });
    try {
      const host = makeHost({ store: 'redis', mount: 'root' }, { adapter: redisAdapter(client) });
      await client.connect();
      const { refresh_token: token } = await getTokens(host);
      expect((await refresh(host, 'web', token)).status).toBe(200);
      expect(await host.oauth.listGrants('alice')).toHaveLength(1);
    } finally {
      await client.close();
      sentinel.stop();
      await server.stop();
    }
  });
});
