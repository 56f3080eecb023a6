import Redis from 'ioredis';
import request from 'supertest';

import { redisAdapter, type RedisClient } from 'express-oauth-router';

import {
  CALLBACK,
  getCode,
  getTokens,
  makeHost,
  pkce,
  post,
  redeem,
  refresh,
  authorizationForm,
  authorize,
  answerOf,
  storeClient,
  type Host,
} from '../support/host';
import { redisProxy, type RedisProxy } from '../support/redis-proxy';

const variant = { store: 'redis', mount: 'prefix' } as const;

/** How many times a request waits for the store: what is sent without waiting in between is one wave. */
describe('waves to Redis', () => {
  let proxy: RedisProxy;
  let redis: Redis;
  let host: Host;

  beforeAll(async () => {
    proxy = await redisProxy(process.env.REDIS_URL!);
    redis = new Redis(proxy.url);
    host = makeHost(variant, {
      adapter: redisAdapter(redis, { prefix: 'waves:' }),
      protect: (app, oauth) => {
        app.get('/api', oauth.requireToken(), (_req, res) => void res.json('ok'));
        app.get(
          '/checked',
          oauth.requireToken({ checkRevocation: true }),
          (_req, res) => void res.json('ok'),
        );
      },
    });
    // Once, so that the scripts are known to the server.
    const tokens = await getTokens(host);
    await refresh(host, 'web', tokens.refresh_token);
    // Answers come after all that is sent in the same turn.
    proxy.delay = 15;
  });

  afterAll(async () => {
    redis.disconnect();
    await proxy.close();
  });

  async function wavesOf(run: () => PromiseLike<{ status: number }>): Promise<number> {
    proxy.reset();
    const { status } = await run();
    expect(status).toBe(200);
    return proxy.waves();
  }

  it('the counter counts: two reads in turn are two waves, at once they are one', async () => {
    const client = redis as RedisClient;
    proxy.reset();
    await client.get('a');
    await client.get('b');
    expect(proxy.waves()).toBe(2);
    proxy.reset();
    await Promise.all([client.get('a'), client.get('b')]);
    expect(proxy.waves()).toBe(1);
  });

  it('a code exchange takes two', async () => {
    const issued = await getCode(host);
    expect(await wavesOf(() => redeem(host, 'web', issued))).toBe(2);
  });

  it('a refresh takes two, and one within the leeway', async () => {
    const tokens = await getTokens(host);
    expect(await wavesOf(() => refresh(host, 'web', tokens.refresh_token))).toBe(2);
    expect(await wavesOf(() => refresh(host, 'web', tokens.refresh_token))).toBe(1);
  });

  it('the same with the client in Redis too', async () => {
    const clientSecret = await storeClient(host, {
      clientId: 'stored',
      redirectUris: [CALLBACK],
      scope: 'profile',
      firstParty: true,
    });
    const pair = pkce();
    const answer = await authorize(host, { ...authorizationForm('web', pair), client_id: 'stored' });
    const token = (form: Record<string, string>): request.Test =>
      request(host.app).post(`${host.base}/token`).type('form').auth('stored', clientSecret).send(form);
    let refreshToken = '';
    const exchange = {
      grant_type: 'authorization_code',
      code: answerOf(answer).code!,
      code_verifier: pair.verifier,
      redirect_uri: CALLBACK,
    };
    expect(
      await wavesOf(async () => {
        const response = await token(exchange);
        refreshToken = response.body.refresh_token as string;
        return response;
      }),
    ).toBe(2);
    expect(await wavesOf(() => token({ grant_type: 'refresh_token', refresh_token: refreshToken }))).toBe(2);
  });

  it('an introspection takes one', async () => {
    const tokens = await getTokens(host);
    expect(await wavesOf(() => post(host, '/introspect', 'web', { token: tokens.access_token }))).toBe(1);
    expect(await wavesOf(() => post(host, '/introspect', 'web', { token: tokens.refresh_token }))).toBe(1);
  });

  it('client credentials of a static client take none', async () => {
    expect(await wavesOf(() => post(host, '/token', 'machine', { grant_type: 'client_credentials' }))).toBe(
      0,
    );
  });

  it('requireToken takes none, and one with checkRevocation', async () => {
    const { access_token: token } = await getTokens(host);
    const call = (path: string): request.Test =>
      request(host.app).get(path).set('Authorization', `Bearer ${token}`);
    expect(await wavesOf(() => call('/api'))).toBe(0);
    expect(await wavesOf(() => call('/checked'))).toBe(1);
  });

  it('a token that is not ours takes none', async () => {
    proxy.reset();
    await refresh(host, 'web', 'A'.repeat(72));
    expect(proxy.waves()).toBe(0);
  });
});
