import { randomInt } from 'node:crypto';

import { milliseconds, type Adapter, type ClientMetadata } from './contract';
import type { RedisCommands } from './redis-commands';
import { EXTEND_CLIENT, SAVE_CLIENT } from './redis-scripts';

/** How many clients are read at once. */
const READ_AT_ONCE = 100;
/** One of so many new clients makes the adapter look for entries of clients that have expired. */
const PRUNE_ONE_OF = 16;
/** How many entries are checked then: enough to remove dead entries faster than they are added. */
const PRUNED_PART = 64;

type ClientFunctions = Required<
  Pick<
    Adapter,
    'getClient' | 'saveClient' | 'replaceClient' | 'extendClient' | 'deleteClient' | 'listClients'
  >
>;

/** Creates the functions of the Redis adapter for clients. Their ids are in one sorted set, in the order of their bytes. */
export function createRedisClients({ command, script }: RedisCommands, prefix: string): ClientFunctions {
  const runSaveClient = script('oauthSaveClient', SAVE_CLIENT);
  const runExtendClient = script('oauthExtendClient', EXTEND_CLIENT);
  const clientKey = (clientId: string): string => `${prefix}client:${clientId}`;
  const index = `${prefix}clients`;

  async function getClient(clientId: string): Promise<ClientMetadata | undefined> {
    const record = (await command('get', clientKey(clientId))) as string | null;
    return record === null ? undefined : (JSON.parse(record) as ClientMetadata);
  }

  /** Returns ids that follow `after`. */
  async function idsAfter(after: string | undefined): Promise<string[]> {
    const from = after === undefined ? '-' : `(${after}`;
    return (await command('zrangebylex', index, from, '+', 'LIMIT', 0, READ_AT_ONCE)) as string[];
  }

  /** Returns the clients of ids, and removes the ids that have none. */
  async function clientsOf(ids: readonly string[]): Promise<ClientMetadata[]> {
    const found = await Promise.all(ids.map(getClient));
    const gone = ids.filter((_id, position) => !found[position]);
    if (gone.length > 0) await forget(gone);
    return found.filter((client) => client !== undefined);
  }

  /** Removes ids from the index, and adds those again whose clients have been stored meanwhile. */
  async function forget(ids: readonly string[]): Promise<void> {
    await command('zrem', index, ...ids);
    const stored = await Promise.all(ids.map(async (id) => ((await getClient(id)) ? [0, id] : [])));
    const back = stored.flat();
    if (back.length > 0) await command('zadd', index, ...back);
  }

  async function prune(): Promise<void> {
    await clientsOf((await command('zrandmember', index, PRUNED_PART)) as string[]);
  }

  return {
    getClient,
    saveClient: async (client, ttl) => {
      const { clientId } = client;
      // Before, so that no client is left out if the process ends here; and after, because a list in between has removed the id.
      const added = Number(await command('zadd', index, 0, clientId)) === 1;
      await runSaveClient(clientKey(clientId), JSON.stringify(client), timeToLive(ttl));
      await command('zadd', index, 0, clientId);
      // Housekeeping: even if it fails, the client is stored.
      if (added && randomInt(PRUNE_ONE_OF) === 0) await prune().catch(() => undefined);
    },
    replaceClient: async (client) =>
      (await command('set', clientKey(client.clientId), JSON.stringify(client), 'KEEPTTL', 'XX')) === 'OK',
    extendClient: async (clientId, ttl) =>
      Number(await runExtendClient(clientKey(clientId), timeToLive(ttl))) === 1,
    deleteClient: async (clientId) => {
      await command('del', clientKey(clientId));
      await command('zrem', index, clientId);
    },
    listClients: async (after, limit) => {
      const clients: ClientMetadata[] = [];
      for (let last = after; ;) {
        const ids = await idsAfter(last);
        clients.push(...(await clientsOf(ids)));
        last = ids.at(-1);
        if (clients.length >= limit || last === undefined) return clients.slice(0, limit);
      }
    },
  };
}

/** Returns the time to live of a client in milliseconds; 0 stands for none. */
function timeToLive(seconds: number | undefined): number {
  return seconds === undefined ? 0 : milliseconds(seconds);
}
