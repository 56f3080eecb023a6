import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { memoryAdapter, type Adapter, type ClientMetadata, type StoredGrant } from 'express-oauth-router';
import { adapterContract, type AdapterUnderTest, type Lacking } from 'express-oauth-router/adapter-contract';

import { OPTIONAL_FUNCTIONS } from '../../lib/adapters/contract';
import { fileAdapter } from '../support/file-adapter';
import { forkAdapter } from '../support/forked-adapter';

type Base = ReturnType<typeof memoryAdapter>;
/** Plants a mistake: functions that replace those of an adapter that has none. */
type Plant = (base: Base, now: () => number) => Partial<AdapterUnderTest> & { functions?: Partial<Adapter> };

/** Runs the suite, and returns the names of the tests that fail. */
async function failures(
  create: () => AdapterUnderTest,
  without: readonly Lacking[],
  only?: RegExp,
): Promise<string[]> {
  const tests: { name: string; run: () => Promise<void> }[] = [];
  adapterContract(
    create,
    {
      describe: (_name, define) => define(),
      it: Object.assign((name: string, run: () => Promise<void>) => tests.push({ name, run }), {
        skip: () => undefined,
      }),
    },
    { without },
  );
  const failed: string[] = [];
  for (const { name, run } of tests.filter((test) => only?.test(test.name) ?? true)) {
    await run().catch(() => failed.push(name));
  }
  return failed;
}

async function failuresOf(plant: Plant): Promise<string[]> {
  return failures(() => {
    let now = Date.now();
    const advance = (seconds: number): void => {
      now += seconds * 1000;
    };
    const base = memoryAdapter({ clock: () => now, maxEntries: 2000 });
    const { functions, ...beside } = plant(base, () => now);
    return {
      adapter: { ...base, ...functions },
      advance,
      sweep: advance,
      other: () => ({ ...base, ...functions }),
      unreachable: () => down(),
      ...beside,
    };
  }, []);
}

/** An adapter whose storage is not there. */
function down(functions: Partial<Adapter> = {}): Adapter {
  const names = Object.keys(memoryAdapter({ maxEntries: 1 })) as (keyof Adapter)[];
  const fail = (): Promise<never> => Promise.reject(new Error('connect ECONNREFUSED'));
  return { ...(Object.fromEntries(names.map((name) => [name, fail])) as unknown as Adapter), ...functions };
}

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Compares names as a careless database does. */
const COMPARISONS: Record<string, (name: string) => string> = {
  'without regard to case': (name) => name.toLowerCase(),
  'without trailing blanks': (name) => name.trimEnd(),
  'after trimming': (name) => name.trim(),
  'after normalizing': (name) => name.normalize('NFC'),
  'up to 250 characters': (name) => name.slice(0, 250),
  'up to 255 characters': (name) => name.slice(0, 255),
};

type Compared = (base: Base, of: (name: string) => string) => Partial<Adapter>;
interface Wrapped {
  readonly original: never;
}
const original = (stored: unknown): never => (stored as Wrapped | undefined)?.original as never;

const PARTS: Record<string, Compared> = {
  clients: (base, of) => ({
    getClient: async (id) => original(await base.getClient(of(id))),
    saveClient: (client, ttl) =>
      base.saveClient({ clientId: of(client.clientId), original: client } as never, ttl),
    replaceClient: (client) =>
      base.replaceClient({ clientId: of(client.clientId), original: client } as never),
    extendClient: (id, ttl) => base.extendClient(of(id), ttl),
    deleteClient: (id) => base.deleteClient(of(id)),
    listClients: async (after, limit) =>
      (await base.listClients(after === undefined ? after : of(after), limit)).map(original),
  }),
  grants: (base, of) => grants(base, (grant) => ({ ...grant, id: of(grant.id) }), of),
  users: (base, of) => ({
    ...grants(base, (grant) => (grant.userId === undefined ? grant : { ...grant, userId: of(grant.userId) })),
    listGrants: async (userId) => (await base.listGrants(of(userId))).map(original),
  }),
  'keys of setOnce': (base, of) => ({ setOnce: (key, ttl) => base.setOnce(of(key), ttl) }),
  'keys of put': (base, of) => ({
    put: (key, value, ttl) => base.put(of(key), value, ttl),
    get: (key) => base.get(of(key)),
    take: (key) => base.take(of(key)),
  }),
  'users of consents': (base, of) => consents(base, (userId, clientId) => [of(userId), clientId]),
  'clients of consents': (base, of) => consents(base, (userId, clientId) => [userId, of(clientId)]),
};

function grants(
  base: Base,
  change: (grant: StoredGrant) => StoredGrant,
  of = (id: string): string => id,
): Partial<Adapter> {
  const changed = (grant: StoredGrant): StoredGrant => ({ ...change(grant), original: grant }) as StoredGrant;
  return {
    saveGrant: (grant) => base.saveGrant(changed(grant)),
    getGrant: async (id) => original(await base.getGrant(of(id))),
    advanceGrant: (id, generation, next) => base.advanceGrant(of(id), generation, changed(next)),
    revokeGrant: (id) => base.revokeGrant(of(id)),
    listGrants: async (userId) => (await base.listGrants(userId)).map(original),
  };
}

function consents(base: Base, of: (userId: string, clientId: string) => [string, string]): Partial<Adapter> {
  return {
    getConsent: async (...pair) => original(await base.getConsent(...of(...pair))),
    saveConsent: (consent) => {
      const [userId, clientId] = of(consent.userId, consent.clientId);
      return base.saveConsent({ ...consent, userId, clientId, original: consent } as never);
    },
    deleteConsent: (...pair) => base.deleteConsent(...of(...pair)),
  };
}

/** What these comparisons cannot confuse: client ids have at most 255 characters of ASCII, grant ids 22 of base64url. */
const HARMLESS = [
  'clients after normalizing',
  'clients up to 255 characters',
  'clients of consents after normalizing',
  'clients of consents up to 255 characters',
  ...Object.keys(COMPARISONS)
    .filter((comparison) => comparison !== 'without regard to case')
    .map((comparison) => `grants ${comparison}`),
];

const COMPARING: [string, Plant][] = Object.entries(PARTS).flatMap(([part, compared]) =>
  Object.entries(COMPARISONS).map(([comparison, of]): [string, Plant] => [
    `${part} ${comparison}`,
    (base) => ({ functions: compared(base, of) }),
  ]),
);

/** A number of 32 bits. */
const narrow = (seconds: number): number => ((seconds * 1000) | 0) / 1000;

/** Adds the age of each grant, which begins again with the writes that say so. */
function agesFrom(
  base: Base,
  now: () => number,
  restarts: (generation: number, next: number) => boolean,
  unit = 1,
): { functions: Partial<Adapter> } {
  const since = new Map<string, number>();
  return {
    functions: {
      saveGrant: (grant) => {
        since.set(grant.id, now());
        return base.saveGrant(grant);
      },
      advanceGrant: (grantId, generation, next) => {
        if (restarts(generation, next.generation)) since.set(grantId, now());
        return base.advanceGrant(grantId, generation, next);
      },
      getGrant: async (grantId) => {
        const grant = await base.getGrant(grantId);
        return grant && { ...grant, age: (now() - (since.get(grantId) ?? 0)) / unit };
      },
    },
  };
}

/** Writes a grant whatever is there. Calls that are begun together are executed one after the other. */
async function overwrite(base: Base, grant: StoredGrant): Promise<void> {
  await Promise.all([base.revokeGrant(grant.id), base.saveGrant(grant)]);
}

const MISTAKES: Record<string, Plant> = {
  'saveGrant replaces a grant': (base) => ({
    functions: {
      saveGrant: async (grant) => {
        await base.revokeGrant(grant.id);
        await base.saveGrant(grant);
      },
    },
  }),
  'saveGrant reads first and then writes': (base) => ({
    functions: {
      saveGrant: async (grant) => {
        if (await base.getGrant(grant.id)) throw new Error('exists');
        await pause();
        await overwrite(base, grant);
      },
    },
  }),
  'saveGrant fails without a user': (base) => ({
    functions: {
      saveGrant: (grant) => {
        if (grant.userId === undefined) throw new Error('user_id must not be null');
        return base.saveGrant(grant);
      },
    },
  }),
  'a grant without a user is that of "null"': (base) => ({
    functions: grants(base, (grant) => ({ ...grant, userId: String(grant.userId ?? null) })),
  }),
  'a grant without a user is that of "undefined"': (base) => ({
    functions: grants(base, (grant) => ({ ...grant, userId: String(grant.userId) })),
  }),
  'a grant without a user is that of an empty name': (base) => ({
    functions: grants(base, (grant) => ({ ...grant, userId: grant.userId ?? '' })),
  }),
  'getGrant returns the columns only': (base) => ({
    functions: {
      getGrant: async (grantId) => {
        const found = await base.getGrant(grantId);
        if (!found) return undefined;
        const { id, generation, userId, clientId, expiresAt } = found;
        return { id, generation, userId, clientId, expiresAt };
      },
    },
  }),
  'getGrant returns the object that was stored': (base) => {
    const kept = new Map<string, StoredGrant>();
    return {
      functions: {
        saveGrant: async (grant) => {
          await base.saveGrant(grant);
          kept.set(grant.id, grant);
        },
        getGrant: async (id) => (await base.getGrant(id)) && kept.get(id),
        advanceGrant: async (id, generation, next) => {
          const won = await base.advanceGrant(id, generation, next);
          if (won) kept.set(id, next);
          return won;
        },
      },
    };
  },
  'advanceGrant compares nothing': (base) => ({
    functions: {
      advanceGrant: async (id, _generation, next) => {
        const found = await base.getGrant(id);
        return found ? base.advanceGrant(id, found.generation, next) : false;
      },
    },
  }),
  'advanceGrant accepts a later generation': (base) => ({
    functions: {
      advanceGrant: async (id, generation, next) => {
        const found = await base.getGrant(id);
        return found && found.generation <= generation
          ? base.advanceGrant(id, found.generation, next)
          : false;
      },
    },
  }),
  'advanceGrant accepts an earlier generation': (base) => ({
    functions: {
      advanceGrant: async (id, generation, next) => {
        const found = await base.getGrant(id);
        return found && found.generation >= generation
          ? base.advanceGrant(id, found.generation, next)
          : false;
      },
    },
  }),
  'advanceGrant reads first and then writes': (base) => ({
    functions: {
      advanceGrant: async (id, generation, next) => {
        if ((await base.getGrant(id))?.generation !== generation) return false;
        await pause();
        await overwrite(base, next);
        return true;
      },
    },
  }),
  'advanceGrant brings a revoked grant back': (base) => ({
    functions: {
      advanceGrant: async (id, generation, next) => {
        if ((await base.getGrant(id))?.generation !== generation) return false;
        await pause();
        if (await base.getGrant(id)) return base.advanceGrant(id, generation, next);
        await base.saveGrant(next);
        return true;
      },
    },
  }),
  'advanceGrant creates a grant': (base) => ({
    functions: {
      advanceGrant: async (id, generation, next) => {
        if (await base.getGrant(id)) return base.advanceGrant(id, generation, next);
        await base.saveGrant(next);
        return true;
      },
    },
  }),
  'advanceGrant says true and stores nothing': (base) => ({
    functions: {
      advanceGrant: async (id, generation) => (await base.getGrant(id))?.generation === generation,
    },
  }),
  'advanceGrant counts by itself': (base) => ({
    functions: {
      advanceGrant: (id, generation, next) =>
        base.advanceGrant(id, generation, { ...next, generation: generation + 1 }),
    },
  }),
  'advanceGrant does not index the user': (base) => {
    const anonymous = new Set<string>();
    return {
      functions: {
        saveGrant: (grant) => {
          if (grant.userId === undefined) anonymous.add(grant.id);
          return base.saveGrant(grant);
        },
        listGrants: async (userId) =>
          (await base.listGrants(userId)).filter((grant) => !anonymous.has(grant.id)),
      },
    };
  },
  'advanceGrant leaves the expiry of the row': (base, now) => {
    const expiries = new Map<string, number>();
    return {
      functions: {
        saveGrant: async (grant) => {
          await base.saveGrant(grant);
          expiries.set(grant.id, grant.expiresAt);
        },
      },
      sweep: async (seconds) => {
        for (const [id, expiresAt] of expiries)
          if (expiresAt < now() + seconds * 1000) await base.revokeGrant(id);
      },
    };
  },
  'the expiry of a grant has 32 bits': (base) => ({
    functions: grants(base, (grant) => ({
      ...grant,
      expiresAt: Date.now() + narrow(grant.expiresAt / 1000),
    })),
  }),
  'revokeGrant says true for a grant that is unknown': (base) => ({
    functions: {
      revokeGrant: async (id) => {
        await base.revokeGrant(id);
        return true;
      },
    },
  }),
  'revokeGrant marks and does not delete': (base) => ({
    functions: { revokeGrant: async (id) => (await base.getGrant(id)) !== undefined },
  }),
  'listGrants returns a page': (base) => ({
    functions: { listGrants: async (userId) => (await base.listGrants(userId)).slice(0, 100) },
  }),
  'listGrants returns codes only': (base) => ({
    functions: {
      listGrants: async (userId) =>
        (await base.listGrants(userId)).filter(({ generation }) => generation === 0),
    },
  }),
  'listGrants returns no codes': (base) => ({
    functions: {
      listGrants: async (userId) =>
        (await base.listGrants(userId)).filter(({ generation }) => generation > 0),
    },
  }),
  'listGrants returns what was saved first': (base) => {
    const first = new Map<string, StoredGrant>();
    return {
      functions: {
        saveGrant: (grant) => {
          if (!first.has(grant.id)) first.set(grant.id, grant);
          return base.saveGrant(grant);
        },
        listGrants: async (userId) => (await base.listGrants(userId)).map(({ id }) => first.get(id)!),
      },
    };
  },
  'setOnce is always true': () => ({ functions: { setOnce: () => true } }),
  'setOnce forgets nothing': (base) => ({ functions: { setOnce: (key) => base.setOnce(key, 1e9) } }),
  'setOnce keeps every key for a second': (base) => ({
    functions: { setOnce: (key) => base.setOnce(key, 1) },
  }),
  'setOnce prolongs': (base) => ({
    functions: {
      setOnce: async (key, ttl) => {
        const isFirst = (await base.get(`once ${key}`)) === undefined;
        await base.put(`once ${key}`, '1', ttl);
        return isFirst;
      },
    },
  }),
  'setOnce takes an expired key over without a condition': (base) => {
    const seen = new Set<string>();
    return {
      functions: {
        setOnce: async (key, ttl) => {
          if (!seen.has(key)) {
            seen.add(key);
            await base.put(`once ${key}`, '1', ttl);
            return true;
          }
          if ((await base.get(`once ${key}`)) !== undefined) return false;
          await pause();
          await base.put(`once ${key}`, '1', ttl);
          return true;
        },
      },
    };
  },
  'setOnce reads first and then writes': (base) => ({
    functions: {
      setOnce: async (key, ttl) => {
        if ((await base.get(`once ${key}`)) !== undefined) return false;
        await pause();
        await base.put(`once ${key}`, '1', ttl);
        return true;
      },
    },
  }),
  'setOnce shares its keys with put': (base) => ({
    functions: {
      setOnce: async (key, ttl) => {
        if ((await base.get(key)) !== undefined) return false;
        await base.put(key, '1', ttl);
        return true;
      },
    },
  }),
  'the time of setOnce has 32 bits': (base) => ({
    functions: { setOnce: (key, ttl) => base.setOnce(key, narrow(ttl)) },
  }),
  'the time of put has 32 bits': (base) => ({
    functions: { put: (key, value, ttl) => base.put(key, value, narrow(ttl)) },
  }),
  'put keeps the time of the first value': (base, now) => {
    const until = new Map<string, number>();
    return {
      functions: {
        put: (key, value, ttl) => {
          const end = until.get(key) ?? now() + ttl * 1000;
          until.set(key, end);
          return base.put(key, value, (end - now()) / 1000);
        },
      },
    };
  },
  'put keeps the longer time': (base, now) => {
    const until = new Map<string, number>();
    return {
      functions: {
        put: (key, value, ttl) => {
          const end = Math.max(until.get(key) ?? 0, now() + ttl * 1000);
          until.set(key, end);
          return base.put(key, value, (end - now()) / 1000);
        },
      },
    };
  },
  'put keeps the first value': (base) => ({
    functions: {
      put: async (key, value, ttl) => base.put(key, (await base.get(key)) ?? value, ttl),
    },
  }),
  'put keeps values for ever': (base) => ({
    functions: { put: (key, value) => base.put(key, value, 1e9) },
  }),
  'put cuts long values': (base) => ({
    functions: { put: (key, value, ttl) => base.put(key, value.slice(0, 65_535), ttl) },
  }),
  'get deletes': (base) => ({ functions: { get: (key) => base.take(key) } }),
  'take does not delete': (base) => ({ functions: { take: (key) => base.get(key) } }),
  'take reads first and then deletes': (base) => ({
    functions: {
      take: async (key) => {
        const value = await base.get(key);
        await pause();
        await base.take(key);
        return value;
      },
    },
  }),
  'take returns an expired value': (base) => {
    const values = new Map<string, string>();
    return {
      functions: {
        put: (key, value, ttl) => {
          values.set(key, value);
          return base.put(key, value, ttl);
        },
        take: async (key) => {
          const value = values.get(key);
          values.delete(key);
          await base.take(key);
          return value;
        },
      },
    };
  },
  'listClients ignores where to begin': (base) => ({
    functions: { listClients: (_after, limit) => base.listClients(undefined, limit) },
  }),
  'listClients ignores the limit': (base) => ({
    functions: { listClients: (after) => base.listClients(after, 2000) },
  }),
  'listClients begins with the id itself': (base) => ({
    functions: {
      listClients: async (after, limit) => {
        const own = after === undefined ? undefined : await base.getClient(after);
        const rest = await base.listClients(after, limit);
        return [own ?? [], rest].flat().slice(0, limit);
      },
    },
  }),
  'listClients sorts without regard to case': (base) => ({
    functions: {
      listClients: async (after, limit) => {
        const folded = ({ clientId }: { clientId: string }): string => clientId.toLowerCase();
        const all = [...(await base.listClients(undefined, 2000))];
        all.sort((one, other) => (folded(one) < folded(other) ? -1 : 1));
        const following = all.filter((client) => after === undefined || folded(client) > after.toLowerCase());
        return following.slice(0, limit);
      },
    },
  }),
  'listClients needs the id to exist': (base) => ({
    functions: {
      listClients: async (after, limit) =>
        after === undefined || (await base.getClient(after)) ? base.listClients(after, limit) : [],
    },
  }),
  'listClients returns those whose time is over': (base) => {
    const saved = new Map<string, ClientMetadata>();
    return {
      functions: {
        saveClient: async (client, ttl) => {
          saved.set(client.clientId, client);
          await base.saveClient(client, ttl);
        },
        deleteClient: async (id) => {
          saved.delete(id);
          await base.deleteClient(id);
        },
        listClients: (after = '', limit) =>
          [...saved.keys()]
            .filter((id) => id > after)
            .sort()
            .slice(0, limit)
            .map((id) => saved.get(id)!),
      },
    };
  },
  'saveClient does not replace': (base) => ({
    functions: {
      saveClient: async (client, ttl) => {
        if (!(await base.getClient(client.clientId))) await base.saveClient(client, ttl);
      },
    },
  }),
  'saveClient ignores the time': (base) => ({
    functions: { saveClient: (client) => base.saveClient(client) },
  }),
  'saveClient replaces the time': (base) => ({
    functions: {
      saveClient: async (client, ttl) => {
        await base.deleteClient(client.clientId);
        await base.saveClient(client, ttl);
      },
    },
  }),
  'saveClient drops members': (base) => ({
    functions: {
      saveClient: ({ clientId, redirectUris, scope }, ttl) =>
        base.saveClient({ clientId, redirectUris, scope }, ttl),
    },
  }),
  'the time of saveClient has 32 bits': (base) => ({
    functions: {
      saveClient: (client, ttl) => base.saveClient(client, ttl === undefined ? undefined : narrow(ttl)),
    },
  }),
  'replaceClient inserts': (base) => ({
    functions: {
      replaceClient: async (client) => {
        await base.saveClient(client);
        return true;
      },
    },
  }),
  'replaceClient ends the time': (base) => ({
    functions: {
      replaceClient: async (client) => {
        if (!(await base.getClient(client.clientId))) return false;
        await base.deleteClient(client.clientId);
        await base.saveClient(client);
        return true;
      },
    },
  }),
  'replaceClient says true only': (base) => ({
    functions: {
      replaceClient: async (client) => {
        await base.replaceClient(client);
        return true;
      },
    },
  }),
  'extendClient shortens': (base) => ({
    functions: {
      extendClient: async (id, ttl) => {
        const client = await base.getClient(id);
        if (!client) return false;
        await base.deleteClient(id);
        await base.saveClient(client, ttl);
        return true;
      },
    },
  }),
  'extendClient without a time does nothing': (base) => ({
    functions: {
      extendClient: async (id, ttl) =>
        ttl === undefined ? (await base.getClient(id)) !== undefined : base.extendClient(id, ttl),
    },
  }),
  'extendClient does nothing': (base) => ({
    functions: { extendClient: async (id) => (await base.getClient(id)) !== undefined },
  }),
  'extendClient is true for a client that is unknown': (base) => ({
    functions: {
      extendClient: async (id, ttl) => {
        await base.extendClient(id, ttl);
        return true;
      },
    },
  }),
  'deleteClient does nothing': () => ({ functions: { deleteClient: () => undefined } }),
  'saveConsent is one for each user': (base) => ({
    functions: consents(base, (userId) => [userId, 'any']),
  }),
  'saveConsent is one for each client': (base) => ({
    functions: consents(base, (_userId, clientId) => ['any', clientId]),
  }),
  'consents are kept by joined names': (base) => ({
    functions: consents(base, (userId, clientId) => [`${userId}:${clientId}`, 'any']),
  }),
  'deleteConsent forgets all consents of the user': (base) => {
    const clientsOf = new Map<string, string[]>();
    return {
      functions: {
        saveConsent: (consent) => {
          clientsOf.set(consent.userId, [...(clientsOf.get(consent.userId) ?? []), consent.clientId]);
          return base.saveConsent(consent);
        },
        deleteConsent: async (userId) => {
          for (const clientId of clientsOf.get(userId) ?? []) await base.deleteConsent(userId, clientId);
        },
      },
    };
  },
  'deleteConsent forgets all consents to the client': (base) => {
    const usersOf = new Map<string, string[]>();
    return {
      functions: {
        saveConsent: (consent) => {
          usersOf.set(consent.clientId, [...(usersOf.get(consent.clientId) ?? []), consent.userId]);
          return base.saveConsent(consent);
        },
        deleteConsent: async (_userId, clientId) => {
          for (const userId of usersOf.get(clientId) ?? []) await base.deleteConsent(userId, clientId);
        },
      },
    };
  },
  'saveConsent adds to what was there': (base) => ({
    functions: {
      saveConsent: async (consent) => {
        const before = await base.getConsent(consent.userId, consent.clientId);
        await base.saveConsent(before ?? consent);
      },
    },
  }),
  'deleteConsent does nothing': () => ({ functions: { deleteConsent: () => undefined } }),
  'ping never fails': () => ({ unreachable: () => down({ ping: () => undefined }) }),
  'a grant is unknown while the storage is away': () => ({
    unreachable: () => down({ getGrant: () => undefined }),
  }),
  'a compare-and-set is lost while the storage is away': () => ({
    unreachable: () => down({ advanceGrant: () => false }),
  }),
  'the age is in seconds': (base, now) =>
    agesFrom(base, now, (generation, next) => next !== generation, 1000),
  'the age is that of the whole grant': (base, now) => agesFrom(base, now, () => false),
  'a write that keeps the generation makes a grant young': (base, now) => agesFrom(base, now, () => true),
  'the clean-up deletes nothing': () => ({ sweep: () => undefined }),
};

describe('the contract suite', () => {
  it('finds nothing in an adapter without mistakes', async () => {
    expect(await failuresOf(() => ({}))).toEqual([]);
  });

  it('finds nothing in ages that are those of the generations', async () => {
    expect(
      await failuresOf((base, now) => agesFrom(base, now, (generation, next) => next !== generation)),
    ).toEqual([]);
  });

  it('finds nothing where a missing member is null, as in the row of a database', async () => {
    const functions = (base: Base): Partial<Adapter> => ({
      getClient: async (id) => {
        const client = await base.getClient(id);
        return client && ({ jwks: null, clientUri: null, ...client } as never);
      },
      getGrant: async (id) => {
        const grant = await base.getGrant(id);
        return grant ? ({ userId: null, ...grant } as never) : null;
      },
    });
    expect(await failuresOf((base) => ({ functions: functions(base) }))).toEqual([]);
  });

  it.each([...Object.entries(MISTAKES), ...COMPARING.filter(([name]) => !HARMLESS.includes(name))])(
    'catches the mistake: %s',
    async (_name, plant) => {
      expect(await failuresOf(plant)).not.toEqual([]);
    },
  );

  it('finds nothing where a comparison cannot confuse the names that there are', async () => {
    for (const [name, plant] of COMPARING.filter(([known]) => HARMLESS.includes(known)))
      expect([name, await failuresOf(plant)]).toEqual([name, []]);
  });

  it('reports what is missing, and what is there although it is said to be missing', async () => {
    const without = (names: readonly Lacking[]): Promise<string[]> =>
      failures(() => {
        let now = Date.now();
        const advance = (seconds: number): void => void (now += seconds * 1000);
        return { adapter: { ...memoryAdapter({ clock: () => now }), listGrants: undefined }, advance };
      }, names);
    const all = ['other', 'sweep', 'unreachable'] as const;
    expect(await without([...all, 'listGrants'])).toEqual([]);
    expect((await without(all)).length).toBeGreaterThan(3);
    expect(await without([...all, 'listGrants', 'ping'])).toEqual([
      'nothing is there that "without" says is missing',
    ]);
    await expect(without(['listgrants' as never])).rejects.toThrow('there is no listgrants');
  }, 60_000);

  describe('with a second process', () => {
    let directory: string;

    beforeEach(() => (directory = mkdtempSync(path.join(tmpdir(), 'oauth-files-'))));
    afterEach(() => rmSync(directory, { recursive: true }));

    const failuresOfFiles = async (unlocked?: string): Promise<string[]> => {
      const { adapter: other, child } = forkAdapter(
        'file-adapter-process.ts',
        directory,
        ...(unlocked === undefined ? [] : [unlocked]),
      );
      const underTest = { adapter: fileAdapter(directory, unlocked), other: () => other };
      try {
        await other.getGrant('it is running');
        return await failures(
          () => underTest,
          [...OPTIONAL_FUNCTIONS.filter((name) => name !== 'close'), 'sweep', 'unreachable'],
          /two processes/,
        );
      } finally {
        child.kill();
      }
    };

    it('finds nothing in a synchronous driver that locks', async () => {
      expect(await failuresOfFiles()).toEqual([]);
    }, 60_000);

    it.each(['saveGrant', 'advanceGrant', 'setOnce', 'take'])(
      'catches a synchronous driver that reads first and then writes: %s',
      async (unlocked) => {
        expect(await failuresOfFiles(unlocked)).toHaveLength(1);
      },
      60_000,
    );
  });
});
