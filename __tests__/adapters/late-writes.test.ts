import Redis from 'ioredis';

import { redisAdapter } from 'express-oauth-router';

import {
  getCode,
  getTokens,
  makeHost,
  redeem,
  refresh,
  STORES,
  type Host,
  type Tokens,
} from '../support/host';
import { startRedis, type RedisServer } from '../support/redis-server';

const wait = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A write may land long after it was sent. The age of what it wrote begins then, by the clock of the store. */
describe('a Redis that stops writing for longer than the leeway', () => {
  let server: RedisServer;
  let redis: Redis;

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
    await redis.ping();
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  it('signs nobody out: who was not answered repeats the token, and gets its successor', async () => {
    const host = makeHost(
      { store: 'redis', mount: 'root' },
      { adapter: redisAdapter(redis), storeTimeout: 0.3, refreshTokens: { leeway: 2 } },
    );
    const logins = await Promise.all(Array.from({ length: 4 }, () => getTokens(host)));
    const admin = new Redis(server.url);
    await admin.call('CLIENT', 'PAUSE', '3500', 'WRITE');
    const sent = Date.now();
    const refused = await Promise.all(logins.map((login) => refresh(host, 'web', login.refresh_token)));
    for (const { status, headers } of refused) expect([status, headers['retry-after']]).toEqual([503, '1']);
    await wait(3700 - (Date.now() - sent));
    host.now = Date.now();
    const repeated = await Promise.all(logins.map((login) => refresh(host, 'web', login.refresh_token)));
    for (const { status, body } of repeated) {
      expect(status).toBe(200);
      expect((await refresh(host, 'web', (body as Tokens).refresh_token)).status).toBe(200);
    }
    expect(host.eventNames()).not.toContain('refresh_token.reused');
    admin.disconnect();
  });
});

const SHARED = STORES.filter(({ store }) => store !== 'memory');

describe.each(SHARED)('processes whose clocks differ, on $store', (variant) => {
  let host: Host;
  const at = (seconds: number): Host => {
    const other = makeHost(variant, { adapter: host.adapter });
    other.now = host.now + seconds * 1000;
    return other;
  };

  beforeEach(() => {
    host = makeHost(variant);
  });

  it.each([-300, -31, 31, 300])(
    'by %d seconds count one leeway: a repetition is no theft',
    async (seconds) => {
      const { refresh_token: token } = await getTokens(host);
      const first = await refresh(host, 'web', token);
      const repeated = await refresh(at(seconds), 'web', token);
      expect(repeated.status).toBe(200);
      expect((repeated.body as Tokens).refresh_token).toBe((first.body as Tokens).refresh_token);
    },
  );

  it.each([-300, -31, 31, 300])('by %d seconds count one leeway: a theft is none later', async (seconds) => {
    const { refresh_token: token } = await getTokens(host);
    await refresh(host, 'web', token);
    host.pass(31);
    expect((await refresh(at(seconds), 'web', token)).status).toBe(400);
    expect(host.eventNames()).not.toContain('refresh_token.repeated');
  });

  it.each([-300, 300])('by %d seconds: a code that a page submits twice is no attack', async (seconds) => {
    const code = await getCode(host);
    const { body } = await redeem(host, 'web', code);
    expect((await redeem(at(seconds), 'web', code)).status).toBe(400);
    expect((await refresh(host, 'web', (body as Tokens).refresh_token)).status).toBe(200);
  });

  it.each([-300, 300])('by %d seconds: one that is used again later is', async (seconds) => {
    const code = await getCode(host);
    const { body } = await redeem(host, 'web', code);
    host.pass(3);
    expect((await redeem(at(seconds), 'web', code)).status).toBe(400);
    expect((await refresh(host, 'web', (body as Tokens).refresh_token)).status).toBe(400);
  });
});
