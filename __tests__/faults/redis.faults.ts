import Redis from 'ioredis';

import { startFaultHost } from '../support/fault-host';
import { wait } from '../support/fault-load';
import { withstand, type Fault, type FaultOptions } from '../support/fault-run';
import { redisProxy, type RedisProxy } from '../support/redis-proxy';
import { freePort, startRedis, type RedisServer } from '../support/redis-server';

interface FaultCase {
  readonly fault: Fault;
  readonly options?: FaultOptions;
  /** Whether all requests may be answered. */
  readonly isQuiet?: boolean;
  /** Whether it depends on the driver: it then happens with both. */
  readonly isOfDriver?: boolean;
}

describe.each(['ioredis', 'redis'] as const)(
  'a Redis that fails under load, with the package %s',
  (driver) => {
    let server: RedisServer;
    let proxy: RedisProxy;
    let admin: Redis;

    beforeAll(async () => {
      server = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always']);
      proxy = await redisProxy(server.url);
      admin = new Redis(server.url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
      admin.on('error', () => undefined);
    });

    beforeEach(() => admin.flushall());

    afterAll(async () => {
      admin.disconnect();
      await proxy.close();
      await server.stop();
    });

    /** Lets the answers of writes be lost, one after the other: the driver sends them again. */
    const dropping = async (): Promise<void> => {
      const end = Date.now() + 1500;
      while (Date.now() < end) {
        proxy.nextWrite = { drop: true };
        await wait(60);
      }
      proxy.nextWrite = undefined;
    };

    const consumed = async (): Promise<void> => {
      while (proxy.nextWrite) await wait(5);
    };

    const FAULTS: Record<string, FaultCase> = {
      'killed and started again': {
        isOfDriver: true,
        fault: async () => {
          await server.kill();
          await wait(1200);
          await server.start();
        },
      },
      'paused for longer than the time limit': {
        isOfDriver: true,
        fault: async () => {
          server.pause();
          await wait(1500);
          server.resume();
        },
      },
      'out of memory': {
        fault: async () => {
          await admin.config('SET', 'maxmemory', '1');
          await wait(1200);
          await admin.config('SET', 'maxmemory', '0');
        },
      },
      'read-only, as after a failover': {
        isOfDriver: true,
        fault: async () => {
          await admin.replicaof('127.0.0.1', await freePort());
          await wait(1200);
          await admin.replicaof('NO', 'ONE');
        },
      },
      'slow by half a second': {
        fault: async () => {
          proxy.delay = 500;
          await wait(2500);
          proxy.delay = 0;
        },
        isQuiet: true,
      },
      'whose answers are lost after the commit, with a driver that sends again': {
        isOfDriver: true,
        fault: dropping,
        isQuiet: true,
      },
      'where a process is killed between the commit and the response': {
        fault: async (hosts) => {
          proxy.nextWrite = { late: 600 };
          await consumed();
          // The script has run; nobody has its answer.
          await wait(100);
          const killed = hosts.splice(0);
          await Promise.all(killed.map((host) => host.kill()));
          hosts.push(await startFaultHost({ kind: 'redis', driver, url: proxy.url }));
        },
        options: { processes: 1, mayBreak: true },
      },
      'with a process whose clock is stepped by the leeway, both ways': {
        fault: async ([one, other]) => {
          for (const step of [31_000, 0, -31_000, 0]) {
            one!.step(step);
            await wait(400);
          }
          for (const step of [-31_000, 0, 31_000, 0]) {
            other!.step(step);
            await wait(400);
          }
        },
        isQuiet: true,
      },
    };

    const cases = Object.entries(FAULTS).filter(([, { isOfDriver }]) => isOfDriver ?? driver === 'ioredis');
    it.each(cases)(
      '%s: nobody loses a login, nothing is given twice',
      async (name, { fault, options, isQuiet }) => {
        const store = { kind: 'redis', driver, url: proxy.url } as const;
        const outcome = await withstand(`${driver} ${name}`, store, fault, options);
        expect(outcome.problems).toEqual([]);
        expect(outcome.requests).toBeGreaterThan(100);
        // Otherwise nothing has failed.
        if (!isQuiet) expect(outcome.unanswered).toBeGreaterThan(0);
      },
    );
  },
);
