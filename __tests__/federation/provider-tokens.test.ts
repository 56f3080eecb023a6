import { oidcProvider } from 'express-oauth-router';

import {
  agentOf,
  callback,
  federatedHost,
  leave,
  providersOf,
  signIn,
  startUpstreams,
  type FederatedHost,
  type Upstreams,
} from '../support/federation';
import { prefixOf, sharedRedis, STORES, type Variant } from '../support/host';
import { json, misbehavingProvider, type MisbehavingProvider } from '../support/misbehaving-provider';

describe.each(STORES)('oauth.providerTokens() on $store, at a real provider', (variant) => {
  let upstreams: Upstreams;
  beforeAll(async () => {
    upstreams = await startUpstreams();
  });
  afterAll(() => upstreams.stop());

  it('gives a fresh access token, refreshed there when it is about to end', async () => {
    const providers = providersOf(upstreams, {
      storeTokens: true,
      scope: 'openid offline_access',
      authorizationParameters: { prompt: 'consent' },
    });
    const host = federatedHost(variant, providers);
    await signIn(host);
    // They live for 30 seconds there, so that every use is a refresh, whose tokens are rotated.
    const first = await host.oauth.providerTokens('acme-alice', 'acme');
    const second = await host.oauth.providerTokens('acme-alice', 'acme');
    expect(first).toMatchObject({ tokenType: 'bearer', scope: expect.stringContaining('openid') as string });
    expect(second!.accessToken).not.toBe(first!.accessToken);
    const me = await fetch(`${upstreams.issuer}/me`, {
      headers: { Authorization: `Bearer ${second!.accessToken}` },
    });
    expect(await me.json()).toMatchObject({ sub: 'alice' });
  });
});

describe.each(STORES)('oauth.providerTokens() on $store', (variant: Variant) => {
  let provider: MisbehavingProvider;
  let host: FederatedHost;
  let refreshed: number;

  const newHost = (options = {}): FederatedHost =>
    federatedHost(
      variant,
      {
        acme: oidcProvider({
          issuer: provider.issuer,
          clientId: 'our-server',
          clientSecret: 's',
          storeTokens: true,
          timeout: 1,
        }),
        other: oidcProvider({ issuer: provider.issuer, clientId: 'our-server', clientSecret: 's' }),
      },
      options,
    );

  beforeEach(async () => {
    provider = await misbehavingProvider();
    host = newHost();
    refreshed = 0;
  });
  afterEach(() => provider.close());

  async function signInHere(tokens: Record<string, unknown>, sub = 'eve'): Promise<void> {
    provider.instead = { '/userinfo': (_req, res) => json(res, 200, { sub }) };
    provider.claims = { sub };
    provider.tokens = { scope: 'a b', ...tokens };
    const agent = agentOf(host);
    const left = await leave(host, agent);
    await callback(agent, provider.callbackFor(left.headers.location!));
    provider.instead['/token'] = async (_req, res, body) => {
      refreshed++;
      expect(body.get('grant_type')).toBe('refresh_token');
      await new Promise((resolve) => setTimeout(resolve, 100));
      json(res, 200, {
        access_token: `of ${body.get('refresh_token')!}`,
        token_type: 'Bearer',
        expires_in: 600,
        refresh_token: `after ${body.get('refresh_token')!}`,
      });
    };
  }

  const tokens = (of: FederatedHost = host): ReturnType<typeof of.oauth.providerTokens> =>
    of.oauth.providerTokens('acme-eve', 'acme');

  it('gives what is fresh as it is', async () => {
    await signInHere({ expires_in: 600, refresh_token: 'r1' });
    expect(await tokens()).toEqual({
      accessToken: 'upstream-access-token',
      tokenType: 'bearer',
      scope: 'a b',
      expiresAt: host.now + 600_000,
    });
    host.pass(539);
    await tokens();
    expect(refreshed).toBe(0);
    host.pass(2);
    expect(await tokens()).toMatchObject({ accessToken: 'of r1', scope: 'a b' });
    host.pass(600);
    expect(await tokens()).toMatchObject({ accessToken: 'of after r1' });
  });

  it('is refreshed once for many who ask at once', async () => {
    await signInHere({ expires_in: 1, refresh_token: 'r1' });
    host.pass(2);
    const answers = await Promise.all(Array.from({ length: 10 }, () => tokens()));
    expect(new Set(answers.map((answer) => answer!.accessToken))).toEqual(new Set(['of r1']));
    expect(refreshed).toBe(1);
  });

  it('is refreshed once for many processes', async () => {
    await signInHere({ expires_in: 1, refresh_token: 'r1' });
    host.pass(2);
    const others = [newHost({ adapter: host.adapter }), newHost({ adapter: host.adapter })];
    for (const other of others) other.now = host.now;
    const all = [host, ...others, ...others, host];
    const answers = await Promise.all(all.map((one) => tokens(one)));
    expect(new Set(answers.map((answer) => answer!.accessToken))).toEqual(new Set(['of r1']));
    expect(refreshed).toBe(1);
  });

  it('without a refresh token there are none when they have ended', async () => {
    await signInHere({ expires_in: 100 });
    expect(await tokens()).toBeDefined();
    host.pass(100);
    expect(await tokens()).toBeUndefined();
    expect(refreshed).toBe(0);
  });

  it('what the provider has taken back is forgotten', async () => {
    await signInHere({ expires_in: 1, refresh_token: 'r1' });
    host.pass(2);
    provider.instead['/token'] = (_req, res) => json(res, 400, { error: 'invalid_grant' });
    expect(await tokens()).toBeUndefined();
    expect(host.eventNames()).toContain('provider.failed');
    provider.instead['/token'] = () => {
      throw new Error('it must not be asked again');
    };
    expect(await tokens()).toBeUndefined();
  });

  it('an outage: the old one while it lasts, then an error, at once for everybody, and nothing is lost', async () => {
    await signInHere({ expires_in: 50, refresh_token: 'r1' });
    const working = provider.instead['/token'];
    provider.instead['/token'] = (_req, res) => json(res, 503, {});
    const before = performance.now();
    for (let times = 0; times < 3; times++) {
      expect(await tokens()).toMatchObject({ accessToken: 'upstream-access-token' });
    }
    host.pass(50);
    const answers = await Promise.allSettled([tokens(), tokens(), tokens()]);
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'temporarily_unavailable' } });
    }
    expect(performance.now() - before).toBeLessThan(2000);
    // Nobody tries again for a moment.
    provider.instead['/token'] = working!;
    await expect(tokens()).rejects.toMatchObject({ code: 'temporarily_unavailable' });
    host.pass(5);
    expect(await tokens()).toMatchObject({ accessToken: 'of r1' });
  });

  it('a second sign-in without a refresh token keeps the first one’s, unless it is of another account', async () => {
    await signInHere({ expires_in: 600, refresh_token: 'r1' });
    await signInHere({ expires_in: 100 });
    host.pass(100);
    expect(await tokens()).toMatchObject({ accessToken: 'of r1' });
    const same = newHost({ adapter: host.adapter, federation: { resolveUser: () => ({ id: 'acme-eve' }) } });
    same.now = host.now;
    host = same;
    await signInHere({ expires_in: 100 }, 'another account');
    host.pass(100);
    expect(await tokens()).toBeUndefined();
  });

  it('what cannot be kept is given once, and a read that fails once loses nothing', async () => {
    await signInHere({ expires_in: 1, refresh_token: 'r1' });
    host.pass(2);
    let reads = 0;
    const shaky = newHost({
      adapter: {
        ...host.adapter,
        get: (...args: Parameters<typeof host.adapter.get>) =>
          ++reads === 2 ? Promise.reject(new Error('lost')) : host.adapter.get(...args),
      },
    });
    shaky.now = host.now;
    expect(await tokens(shaky)).toMatchObject({ accessToken: 'of r1' });
    shaky.pass(600);
    expect(await tokens(shaky)).toMatchObject({ accessToken: 'of after r1' });

    const full = newHost({ adapter: { ...host.adapter, put: () => Promise.reject(new Error('full')) } });
    full.now = shaky.now + 600_000;
    expect(await tokens(full)).toMatchObject({ accessToken: 'of after after r1' });
    expect(full.eventNames()).toContain('store.failed');
  });

  it('a write that fails once loses nothing', async () => {
    await signInHere({ expires_in: 1, refresh_token: 'r1' });
    host.pass(2);
    let fails = 1;
    const shaky = newHost({
      adapter: {
        ...host.adapter,
        put: (...args: Parameters<typeof host.adapter.put>) => {
          if (fails-- > 0) return Promise.reject(new Error('the connection was lost'));
          return host.adapter.put(...args);
        },
      },
    });
    shaky.now = host.now + 10_000;
    expect(await tokens(shaky)).toMatchObject({ accessToken: 'of r1' });
    shaky.pass(600);
    expect(await tokens(shaky)).toMatchObject({ accessToken: 'of after r1' });
  });

  it('is of one user at one provider, and only where it is switched on', async () => {
    await signInHere({ expires_in: 600 });
    expect(await host.oauth.providerTokens('acme-alice', 'acme')).toBeUndefined();
    expect(await host.oauth.providerTokens('acme-eve', 'other')).toBeUndefined();
    await expect(host.oauth.providerTokens('acme-eve', 'nobody')).rejects.toThrow(TypeError);
    await expect(host.oauth.providerTokens('', 'acme')).rejects.toThrow(TypeError);
    await host.oauth.deleteProviderTokens('acme-eve', 'acme');
    expect(await tokens()).toBeUndefined();

    const agent = agentOf(host);
    provider.instead = {};
    const left = await leave(host, agent, { provider: 'other' });
    await callback(agent, provider.callbackFor(left.headers.location!));
    expect(await host.oauth.providerTokens('other-eve', 'other')).toBeUndefined();
  });

  it('at rest nothing of it can be read, or given to somebody else', async () => {
    await signInHere({ expires_in: 600, refresh_token: 'upstream-refresh-token' });
    if (variant.store !== 'redis') return expect(await tokens()).toBeDefined();
    const stored = (): Promise<string[]> => sharedRedis().keys(`${prefixOf(host.adapter)}*provider-tokens:*`);
    const keys = await stored();
    const values = await Promise.all(keys.map((key) => sharedRedis().get(key)));
    expect(values.length).toBeGreaterThan(0);
    const dump = JSON.stringify([keys, values]);
    for (const secret of ['upstream-access-token', 'upstream-refresh-token', 'acme-eve']) {
      expect(dump).not.toContain(secret);
    }
    // Moved to another user by whoever can write there.
    await signInHere({ expires_in: 600 }, 'mallory');
    const own = (await stored()).find((key) => !keys.includes(key))!;
    expect(await host.oauth.providerTokens('acme-mallory', 'acme')).toBeDefined();
    await sharedRedis().set(own, (await sharedRedis().get(keys[0]!))!);
    expect(await host.oauth.providerTokens('acme-mallory', 'acme')).toBeUndefined();
    expect(await tokens()).toBeDefined();
  });

  it('another secret opens nothing: the user signs in again', async () => {
    await signInHere({ expires_in: 600 });
    const changed = newHost({ adapter: host.adapter, secrets: ['another secret of more than 32 bytes!'] });
    expect(await tokens(changed)).toBeUndefined();
  });
});
