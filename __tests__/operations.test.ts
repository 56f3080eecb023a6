import Redis from 'ioredis';
import request from 'supertest';

import { createOAuthRouter, memoryAdapter, redisAdapter } from 'express-oauth-router';

import {
  answerOf,
  authorizationForm,
  authorize,
  claimsOf,
  getCode,
  getTokens,
  isActive,
  makeHost,
  pkce,
  redeem,
  refresh,
  STORES,
  type Host,
} from './support/host';
import { startRedis } from './support/redis-server';

describe.each(STORES.map(({ store }) => ({ store, mount: 'root' as const })))(
  'operations of the host on $store',
  (variant) => {
    let host: Host;
    beforeEach(() => {
      host = makeHost(variant);
    });

    it('listGrants shows a user’s connected apps, and forgets what has ended', async () => {
      await getTokens(host);
      await getCode(host, 'spa');
      host.user = { id: 'bob' };
      await getTokens(host);
      const apps = await host.oauth.listGrants('alice');
      expect(apps.map(({ clientId }) => clientId).sort()).toEqual(['spa', 'web']);
      expect(apps.find(({ clientId }) => clientId === 'web')).toEqual({
        grantId: expect.any(String) as string,
        userId: 'alice',
        clientId: 'web',
        scope: ['profile', 'orders:read', 'orders:write'],
        resources: [host.issuer],
        createdAt: host.now,
        lastUsedAt: host.now,
        expiresAt: host.now + 30 * 86_400_000,
      });
      host.pass(61);
      expect((await host.oauth.listGrants('alice')).map(({ clientId }) => clientId)).toEqual(['web']);
    });

    it('revokeGrant ends one grant of its user, and refuses another’s', async () => {
      const tokens = await getTokens(host);
      const [grant] = await host.oauth.listGrants('alice');
      const { grantId } = grant!;
      expect(await host.oauth.revokeGrant({ userId: 'mallory', grantId })).toBe(false);
      expect(await isActive(host, tokens.access_token)).toBe(true);
      expect(await host.oauth.revokeGrant({ userId: 'alice', grantId })).toBe(true);
      expect(await isActive(host, tokens.access_token)).toBe(false);
      expect(await host.oauth.revokeGrant({ userId: 'alice', grantId })).toBe(false);
    });

    it('revokeGrants ends all of a user’s, unspent codes included', async () => {
      const tokens = await getTokens(host);
      const unspent = await getCode(host, 'spa');
      host.user = { id: 'bob' };
      const others = await getTokens(host);
      expect(await host.oauth.revokeGrants({ userId: 'alice' })).toBe(2);
      expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(400);
      expect((await redeem(host, 'spa', unspent)).status).toBe(400);
      expect((await refresh(host, 'web', others.refresh_token)).status).toBe(200);
    });

    it('revokeGrants with a client ends that one’s, and the remembered consent', async () => {
      const own = makeHost(variant, {
        pages: { consent: (_req, res, { request: sealed }) => res.json({ sealed }) },
      });
      const form = authorizationForm('third', pkce());
      const { sealed } = (await authorize(own, form)).body as { sealed: string };
      await request(own.app).post('/consent').type('form').send({ request: sealed, decision: 'allow' });
      expect(answerOf(await authorize(own, form))).toHaveProperty('code');
      const kept = await getTokens(own, 'web');
      expect(await own.oauth.revokeGrants({ userId: 'alice', clientId: 'third' })).toBe(2);
      expect((await authorize(own, form)).body).toHaveProperty('sealed');
      expect((await refresh(own, 'web', kept.refresh_token)).status).toBe(200);
    });

    it.each([undefined, null, '', {}, NaN])('a user id of %p ends nothing', async (userId) => {
      const tokens = await getTokens(host);
      await expect(host.oauth.revokeGrants({ userId: userId as never })).rejects.toThrow(TypeError);
      expect(await isActive(host, tokens.access_token)).toBe(true);
    });

    it('a record that cannot be read does not keep the others alive', async () => {
      const tokens = await getTokens(host);
      const listGrants = async (userId: string): Promise<never> =>
        [
          null,
          { id: 'broken', userId, clientId: 'web' },
          ...(await host.adapter.listGrants!(userId)),
        ] as never;
      const own = makeHost(variant, { adapter: { ...host.adapter, listGrants } });
      expect(await own.oauth.listGrants('alice')).toHaveLength(1);
      expect(own.eventNames()).toContain('store.failed');
      expect(await own.oauth.revokeGrants({ userId: 'alice' })).toBe(1);
      expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(400);
    });

    it('one that cannot be ended does not keep the others alive, and is told', async () => {
      const kept = await getTokens(host);
      const ended = await getTokens(host);
      const keptId = Buffer.from(kept.refresh_token, 'base64url').toString('base64url', 0, 16);
      const revokeGrant = (id: string): unknown =>
        id === keptId ? Promise.reject(new Error('down')) : host.adapter.revokeGrant(id);
      const own = makeHost(variant, { adapter: { ...host.adapter, revokeGrant: revokeGrant as never } });
      await expect(own.oauth.revokeGrants({ userId: 'alice' })).rejects.toThrow('1 of 2 grants');
      expect((await refresh(host, 'web', ended.refresh_token)).status).toBe(400);
      expect((await refresh(host, 'web', kept.refresh_token)).status).toBe(200);
    });

    it('users may have numbers for ids', async () => {
      host.user = { id: 42 };
      const tokens = await getTokens(host);
      expect(claimsOf(tokens.access_token).sub).toBe('42');
      expect(await host.oauth.revokeGrants({ userId: 42 })).toBe(1);
    });

    it('signOut and issueAccessToken refuse values that would mean something else', async () => {
      for (const sid of [null, '', 5])
        await expect(host.oauth.signOut({ userId: 'alice', sid: sid as string })).rejects.toThrow(/sid/);
      const given = { subject: 'alice', clientId: 'web' };
      for (const wrong of [{ lifetime: NaN }, { lifetime: 0.5 }, { scope: ['a'] }, { clientId: undefined }])
        expect(() => host.oauth.issueAccessToken({ ...given, ...wrong } as never)).toThrow(TypeError);
    });

    it('issueAccessToken refuses options that it does not know', () => {
      const options = { subject: 'bob', clientId: 'web', scopes: 'profile' };
      expect(() => host.oauth.issueAccessToken(options)).toThrow(
        new TypeError('issueAccessToken() has no option scopes'),
      );
    });

    it('issueAccessToken gives a token for the tests of the host’s API', () => {
      const token = host.oauth.issueAccessToken({
        subject: 7,
        clientId: 'web',
        scope: 'a b',
        lifetime: 60,
        claims: { role: 'x', iss: 'y' },
      });
      const iat = Math.floor(host.now / 1000);
      expect(claimsOf(token)).toMatchObject({
        iss: host.issuer,
        sub: '7',
        aud: host.issuer,
        client_id: 'web',
        scope: 'a b',
        role: 'x',
        iat,
        exp: iat + 60,
      });
    });
  },
);

it('an operation whose capability the adapter lacks names it', async () => {
  const oauth = createOAuthRouter({
    issuer: 'http://localhost',
    adapter: { ...memoryAdapter(), listGrants: undefined },
    authenticate: () => undefined,
    loginUrl: '/login',
  });
  await expect(oauth.revokeGrants({ userId: 'a' })).rejects.toThrow(/listGrants/);
});

it('an event listener that throws, or rejects, changes nothing', async () => {
  const host = makeHost({ store: 'memory', mount: 'root' });
  host.oauth.events.on('token.issued', () => {
    throw new Error('a listener');
  });
  host.oauth.events.on('token.issued', () => Promise.reject(new Error('a listener')) as never);
  const tokens = await getTokens(host);
  expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(200);
  expect(host.events.filter(({ name }) => name === 'token.issued').map(({ event }) => event)).toEqual([
    expect.objectContaining({
      clientId: 'web',
      userId: 'alice',
      grantType: 'authorization_code',
      refreshToken: true,
    }),
    expect.objectContaining({
      clientId: 'web',
      userId: 'alice',
      grantType: 'refresh_token',
      refreshToken: true,
    }),
  ]);
});

describe('redisAdapter', () => {
  it('warns of a server that evicts', async () => {
    const server = await startRedis(['--maxmemory-policy', 'allkeys-lru']);
    const redis = new Redis(server.url);
    const warn = jest.spyOn(process, 'emitWarning').mockReturnValue(undefined);
    redisAdapter(redis);
    await redis.ping();
    await redis.ping();
    expect(warn.mock.calls).toEqual([[expect.stringContaining('noeviction, not allkeys-lru')]]);
    warn.mockRestore();
    await redis.quit();
    await server.stop();
  });

  it('works with numbers as strings, and with a clock of fractions', async () => {
    const redis = new Redis(process.env.REDIS_URL!, { stringNumbers: true });
    const host = makeHost(
      { store: 'redis', mount: 'root' },
      {
        adapter: redisAdapter(redis, { prefix: `strings:${Date.now()}:` }),
        clock: () => Date.now() + 0.25,
        refreshTokens: { idleLifetime: 500 * 86_400, absoluteLifetime: 900 * 86_400 },
      },
    );
    const tokens = await getTokens(host);
    expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(200);
    expect(await host.oauth.revokeGrants({ userId: 'alice' })).toBe(1);
    await redis.quit();
  });

  it('refuses an option that it has not', () => {
    const redis = new Redis({ lazyConnect: true });
    expect(() => redisAdapter(redis, { keyPrefix: 'x' } as never)).toThrow(/keyPrefix/);
    expect(() => memoryAdapter({ max: 1 } as never)).toThrow(/max/);
  });

  it('refuses a prefix with braces, and Sentinel’s replicas', () => {
    const redis = new Redis({ lazyConnect: true });
    expect(() => redisAdapter(redis, { prefix: '{a}:' })).toThrow(/braces/);
    const replica = new Redis({
      sentinels: [{ host: '127.0.0.1', port: 1 }],
      name: 'x',
      role: 'slave',
      lazyConnect: true,
    });
    expect(() => redisAdapter(replica)).toThrow(/master/);
  });

  it('removes a user’s dead entries from the index as new ones come', async () => {
    const redis = new Redis(process.env.REDIS_URL!);
    const prefix = `index:${Date.now()}:`;
    const adapter = redisAdapter(redis, { prefix });
    const key = `${prefix}user:alice`;
    // Entries of long ago, without grants.
    const old = Date.now() - 3_600_000;
    for (let entry = 0; entry < 150; entry++) await redis.zadd(key, old, `dead-${entry}`);
    // The parts that are checked are random: some rounds more than it takes on average.
    for (let entry = 0; entry < 400; entry++) {
      await adapter.saveGrant({
        id: `grant-${entry}`,
        generation: 0,
        userId: 'alice',
        clientId: 'a',
        expiresAt: Date.now() + 60_000,
      });
    }
    expect(await redis.zcard(key)).toBe(400);
    expect(await adapter.listGrants('alice')).toHaveLength(400);
    await redis.quit();
  });
});
