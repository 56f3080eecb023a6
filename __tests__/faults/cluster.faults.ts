import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import Redis from 'ioredis';

import type { FaultStore } from '../support/fault-host';
import { wait } from '../support/fault-load';
import { withstand } from '../support/fault-run';
import { startRedis, startSentinels, type RedisServer, type Sentinel } from '../support/redis-server';

const SLOTS = 16_384;
const MASTERS = 3;

const run = promisify(execFile);

/** Waits until something is the case, for 20 seconds at most. */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  let cause: unknown;
  do {
    try {
      if (await isSo()) return;
    } catch (error) {
      cause = error;
    }
    await wait(25);
  } while (performance.now() < end);
  throw new Error(`not within 20 seconds: ${what}`, { cause });
}

const nodeOf = (server: RedisServer): Redis => {
  const node = new Redis(server.url, {
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
    commandTimeout: 2000,
  });
  node.on('error', () => undefined);
  return node;
};

/** Whether a node takes writes. */
async function isMaster(node: Redis): Promise<boolean> {
  const [role] = (await node.call('ROLE')) as [string];
  return role === 'master';
}

/** Whether a replica has everything that its master had. */
async function hasCopy(replica: Redis): Promise<boolean> {
  return (await replica.info('replication')).includes('master_link_status:up');
}

/** Two replicas of a set take the place of its master in turn: which is it now? */
async function masterOf(nodes: readonly Redis[]): Promise<number> {
  const roles = await Promise.all(nodes.map((node) => isMaster(node)));
  if (roles.filter(Boolean).length !== 1) throw new Error(`the masters are: ${roles.join()}`);
  return roles.indexOf(true);
}

/** Three masters with a replica each, whose ids are those of `servers` modulo three. */
describe('a cluster that fails under load', () => {
  const servers: RedisServer[] = [];
  const nodes: Redis[] = [];
  let store: FaultStore;

  beforeAll(async () => {
    while (servers.length < 2 * MASTERS) {
      const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000'];
      const server = await startRedis([
        ...settings,
        '--repl-ping-replica-period',
        '1',
        '--appendonly',
        'yes',
      ]);
      servers.push(server);
      nodes.push(nodeOf(server));
    }
    const [first] = nodes;
    const third = Math.ceil(SLOTS / MASTERS);
    for (const [position, node] of nodes.entries()) {
      const slots = Array.from({ length: SLOTS }, (_, slot) => slot).filter(
        (slot) => Math.floor(slot / third) === position,
      );
      if (slots.length > 0) await node.call('CLUSTER', 'ADDSLOTS', ...slots);
      await first!.call('CLUSTER', 'MEET', '127.0.0.1', servers[position]!.port);
    }
    const knows = async (node: Redis, text: string): Promise<boolean> =>
      String(await node.call('CLUSTER', 'INFO')).includes(text);
    for (const node of nodes)
      await until('a meeting', () => knows(node, `cluster_known_nodes:${2 * MASTERS}`));
    for (let position = 0; position < MASTERS; position++) {
      const id = String(await nodes[position]!.call('CLUSTER', 'MYID'));
      await until('a replica', async () => {
        await nodes[position + MASTERS]!.call('CLUSTER', 'REPLICATE', id);
        return true;
      });
    }
    for (const node of nodes) await until('a cluster', () => knows(node, 'cluster_state:ok'));
    for (const replica of nodes.slice(MASTERS)) await until('a copy', () => hasCopy(replica));
    store = { kind: 'cluster', ports: servers.map(({ port }) => port) };
  }, 120_000);

  afterAll(async () => {
    for (const node of nodes) node.disconnect();
    await Promise.all(servers.map((server) => server.stop()));
  });

  /** Lets a master go, waits for its replica to take its place, and brings it back as the replica. */
  async function change(
    end: (server: RedisServer) => unknown,
    back: (server: RedisServer) => unknown,
  ): Promise<void> {
    await Promise.all(returning.splice(0));
    const pair = [0, MASTERS];
    const position = await masterOf(pair.map((one) => nodes[one]!));
    const [old, next] = [pair[position]!, pair[1 - position]!];
    await until('a copy', () => hasCopy(nodes[next]!));
    await end(servers[old]!);
    await until('a new master', () => isMaster(nodes[next]!));
    await until('the cluster', async () =>
      String(await nodes[next]!.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
    );
    const later = async (): Promise<void> => {
      await wait(500);
      await back(servers[old]!);
      // Until it has heard of its successor it takes itself for a master.
      await until('a replica', async () => !(await isMaster(nodes[old]!)) && (await hasCopy(nodes[old]!)));
    };
    returning.push(later());
  }
  const returning: Promise<void>[] = [];
  afterEach(async () => {
    await Promise.all(returning.splice(0));
  });

  // What a master has answered, and not yet sent to its replica, is lost with it: a code that was redeemed then is a login lost.
  describe.each(['ioredis', 'redis'] as const)('with the package %s', (driver) => {
    it.each([
      ['killed', (server: RedisServer) => server.kill(), (server: RedisServer) => server.start()],
      ['frozen', (server: RedisServer) => server.pause(), (server: RedisServer) => server.resume()],
    ] as const)('a master is %s: nobody loses a login', async (name, end, back) => {
      const given = { ...store, driver };
      const outcome = await withstand(`cluster ${name} ${driver}`, given, () => change(end, back), {
        logsIn: false,
        // A third of the grants is on the master that goes.
        clients: 16,
      });
      expect(outcome.problems).toEqual([]);
      expect(outcome.unanswered).toBeGreaterThan(0);
    });
  });

  it('slots move to another master: nobody loses a login, nothing is given twice', async () => {
    const masters = (
      await Promise.all(nodes.map(async (node, position) => ((await isMaster(node)) ? position : undefined)))
    ).filter((position) => position !== undefined);
    const [from, to] = await Promise.all(
      masters.slice(0, 2).map(async (position) => String(await nodes[position]!.call('CLUSTER', 'MYID'))),
    );
    const reshard = async (): Promise<void> => {
      const address = `127.0.0.1:${servers[masters[0]!]!.port}`;
      const flags = [
        '--cluster-from',
        from!,
        '--cluster-to',
        to!,
        '--cluster-slots',
        '1500',
        '--cluster-yes',
      ];
      await run('redis-cli', ['--cluster', 'reshard', address, ...flags], { timeout: 30_000 });
    };
    const outcome = await withstand('cluster resharding', store, reshard);
    expect(outcome.problems).toEqual([]);
    expect(outcome.requests).toBeGreaterThan(100);
  });
});

/** A master with a replica, and three Sentinels that watch it. */
describe('a Sentinel set that fails under load', () => {
  const servers: RedisServer[] = [];
  const nodes: Redis[] = [];
  let sentinels: Sentinel[] = [];
  let first: Redis | undefined;
  let watcher: Redis | undefined;
  let store: FaultStore;

  beforeAll(async () => {
    for (const _ of [1, 2]) {
      const server = await startRedis(['--appendonly', 'yes', '--repl-ping-replica-period', '1']);
      servers.push(server);
      nodes.push(nodeOf(server));
    }
    await nodes[1]!.replicaof('127.0.0.1', servers[0]!.port);
    await until('a copy', () => hasCopy(nodes[1]!));
    sentinels = await startSentinels(servers[0]!.port);
    // The first is the one that clients ask first.
    first = new Redis(sentinels[0]!.port, { commandTimeout: 1000 });
    watcher = new Redis(sentinels[1]!.port, { commandTimeout: 1000 });
    const state = async (): Promise<string> => String(await watcher?.call('INFO', 'sentinel'));
    await until('the Sentinels', async () => (await state()).includes('slaves=1,sentinels=3'));
    store = { kind: 'sentinel', ports: sentinels.map(({ port }) => port) };
  }, 120_000);

  afterAll(async () => {
    for (const node of [...nodes, first, watcher]) node?.disconnect();
    for (const sentinel of sentinels) sentinel.stop();
    await Promise.all(servers.map((server) => server.stop()));
  });

  /** What the Sentinels tell clients. */
  const addressOfMaster = async (): Promise<[host: string, port: string]> =>
    (await watcher!.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main')) as [string, string];

  /** Whether the Sentinel that clients ask first has reached the master at a port. The package `redis` waits for that, ioredis does not. */
  const isReached = async (port: string): Promise<boolean> => {
    const members = (await first!.call('SENTINEL', 'MASTER', 'main')) as string[];
    const valueOf = (name: string): string | undefined => members[members.indexOf(name) + 1];
    return valueOf('port') === port && valueOf('flags') === 'master';
  };

  const killed = [(server: RedisServer) => server.kill(), (server: RedisServer) => server.start()] as const;
  it.each([
    ['killed', 'ioredis', ...killed],
    ['killed', 'redis', ...killed],
    ['frozen', 'ioredis', (server: RedisServer) => server.pause(), (server: RedisServer) => server.resume()],
    [
      'frozen with a Sentinel',
      'ioredis',
      (server: RedisServer) => {
        server.pause();
        sentinels[0]!.pause();
      },
      (server: RedisServer) => {
        server.resume();
        sentinels[0]!.resume();
      },
    ],
  ] as const)(
    'the master is %s, with the package %s: nobody loses a login',
    async (name, driver, end, back) => {
      let gone: number | undefined;
      const bringBack = async (): Promise<void> => {
        if (gone === undefined) return;
        const position = gone;
        await back(servers[position]!);
        await until('a replica', async () => {
          // A Sentinel would do this after ten seconds.
          await nodes[position]!.replicaof('127.0.0.1', servers[1 - position]!.port);
          return !(await isMaster(nodes[position]!)) && (await hasCopy(nodes[position]!));
        });
      };
      const fault = async (): Promise<void> => {
        await bringBack();
        gone = await masterOf(nodes);
        const next = 1 - gone;
        await until('a copy', () => hasCopy(nodes[next]!));
        await end(servers[gone]!);
        const port = String(servers[next]!.port);
        await until('the Sentinels', async () => (await addressOfMaster())[1] === port);
        if (driver === 'redis') await until('a Sentinel at the new master', () => isReached(port));
      };
      const outcome = await withstand(`sentinel ${name} ${driver}`, { ...store, driver }, fault, {
        logsIn: false,
      });
      await bringBack();
      expect(outcome.problems).toEqual([]);
      expect(outcome.unanswered).toBeGreaterThan(0);
    },
  );
});
