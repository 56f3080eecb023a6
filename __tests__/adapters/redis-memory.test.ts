import { randomBytes } from 'node:crypto';

import { redisAdapter } from 'express-oauth-router';

import { getTokens, makeHost, refresh, sharedRedis } from '../support/host';

/** What a grant takes in Redis, as `MEMORY USAGE` says. Bytes. */
describe('the memory of Redis', () => {
  const usage = async (prefix: string, kind: string): Promise<number[]> => {
    const keys = await sharedRedis().keys(`${prefix}${kind}:*`);
    return Promise.all(keys.map(async (key) => Number(await sharedRedis().memory('USAGE', key))));
  };

  it.each([1, 10])('a live grant is small, with %d for each user', async (count) => {
    const prefix = `m${randomBytes(3).toString('base64url')}:`;
    const host = makeHost(
      { store: 'redis', mount: 'root' },
      { adapter: redisAdapter(sharedRedis(), { prefix }) },
    );
    const logins = [];
    for (let login = 0; login < count; login++) logins.push(await getTokens(host));
    const [grants, users] = [await usage(prefix, 'grant'), await usage(prefix, 'user')];
    expect([grants.length, users.length]).toEqual([count, 1]);
    const total = [...grants, ...users].reduce((sum, bytes) => sum + bytes) / count;
    expect(Math.max(...grants)).toBeLessThanOrEqual(420);
    expect(total).toBeLessThanOrEqual(count === 1 ? 640 : 480);

    // What only the code needed goes with the first refresh after its replay window.
    host.pass(601);
    await refresh(host, 'web', logins[0]!.refresh_token);
    expect(Math.min(...(await usage(prefix, 'grant')))).toBeLessThan(Math.min(...grants));
  });
});
