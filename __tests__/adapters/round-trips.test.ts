import { randomUUID } from 'node:crypto';

import Redis from 'ioredis';
import request from 'supertest';

import { redisAdapter, type IoredisClient } from 'express-oauth-router';

import {
  CALLBACK,
  CLIENTS,
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
import { assertion, ASSERTION_TYPE, clientKey, dpopProof, type ClientKey } from '../support/jose';
import { redisProxy, type RedisProxy } from '../support/redis-proxy';

const variant = { store: 'redis', mount: 'prefix' } as const;

/** How many times a request waits for the store: requests that are sent together are one round trip. */
describe('round trips to Redis', () => {
  let proxy: RedisProxy;
  let redis: Redis;
  let host: Host;

  beforeAll(async () => {
    proxy = await redisProxy(process.env.REDIS_URL!);
    redis = new Redis(proxy.url);
    host = makeHost(variant, {
      adapter: redisAdapter(redis, { prefix: `round-trips:${randomUUID()}:` }),
      clients: [{ ...CLIENTS.web, scope: 'openid profile' }, CLIENTS.machine],
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

  async function roundTripsOf(run: () => PromiseLike<{ status: number }>): Promise<number> {
    proxy.reset();
    const { status } = await run();
    expect(status).toBe(200);
    return proxy.roundTrips();
  }

  it('the counter counts: two reads in turn are two round trips, two at once are one', async () => {
    const client = redis as IoredisClient;
    proxy.reset();
    await client.get('a');
    await client.get('b');
    expect(proxy.roundTrips()).toBe(2);
    proxy.reset();
    await Promise.all([client.get('a'), client.get('b')]);
    expect(proxy.roundTrips()).toBe(1);
  });

  it('a code exchange takes two', async () => {
    const issued = await getCode(host);
    expect(await roundTripsOf(() => redeem(host, 'web', issued))).toBe(2);
  });

  it('a refresh takes two, and one within the leeway', async () => {
    const tokens = await getTokens(host);
    expect(await roundTripsOf(() => refresh(host, 'web', tokens.refresh_token))).toBe(2);
    expect(await roundTripsOf(() => refresh(host, 'web', tokens.refresh_token))).toBe(1);
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
      await roundTripsOf(async () => {
        const response = await token(exchange);
        refreshToken = response.body.refresh_token as string;
        return response;
      }),
    ).toBe(2);
    expect(
      await roundTripsOf(() => token({ grant_type: 'refresh_token', refresh_token: refreshToken })),
    ).toBe(2);
  });

  describe('with proofs', () => {
    let key: ClientKey;
    const tokenUrl = 'http://localhost:3000/api/v1/oauth/token';
    beforeAll(async () => {
      key = await clientKey();
    });
    const proof = (url = tokenUrl): Promise<string> => dpopProof(key, { url, now: host.now });

    it('a DPoP proof rides along: two for a code exchange, two for a refresh', async () => {
      const issued = await getCode(host);
      const first = await proof();
      let refreshToken = '';
      const exchange = async (): Promise<{ status: number }> => {
        const response = await redeem(host, 'web', issued).set('DPoP', first);
        refreshToken = (response.body as { refresh_token: string }).refresh_token;
        return response;
      };
      expect(await roundTripsOf(exchange)).toBe(2);
      const second = await proof();
      expect(await roundTripsOf(() => refresh(host, 'web', refreshToken).set('DPoP', second))).toBe(2);
    });

    it('requireToken takes one for a token that is bound to a key', async () => {
      const { body } = await redeem(host, 'web', await getCode(host)).set('DPoP', await proof());
      const { access_token: accessToken } = body as { access_token: string };
      const url = 'http://localhost:3000/api';
      const DPoP = await dpopProof(key, { method: 'GET', url, now: host.now, accessToken });
      const call = (): request.Test =>
        request(host.app)
          .get('/api')
          .set({ Authorization: `DPoP ${accessToken}`, DPoP });
      expect(await roundTripsOf(call)).toBe(1);
    });

    it('so does userinfo', async () => {
      const issued = await getCode(host, 'web', { scope: 'openid' });
      const { body } = await redeem(host, 'web', issued).set('DPoP', await proof());
      const { access_token: accessToken } = body as { access_token: string };
      const url = `${host.issuer}/userinfo`;
      const DPoP = await dpopProof(key, { method: 'GET', url, now: host.now, accessToken });
      const call = (): request.Test =>
        request(host.app)
          .get(`${host.base}/userinfo`)
          .set({ Authorization: `DPoP ${accessToken}`, DPoP });
      expect(await roundTripsOf(call)).toBe(1);
    });

    it('a client assertion takes one more', async () => {
      const metadata = { redirectUris: [CALLBACK], scope: 'profile', firstParty: true };
      await host.adapter.saveClient!({ clientId: 'signer', jwks: { keys: [key.publicJwk] }, ...metadata });
      const send = async (form: Record<string, string>, DPoP: string): Promise<request.Response> => {
        const target = { clientId: 'signer', issuer: host.issuer, now: host.now };
        const signed = {
          client_assertion: await assertion(key, target),
          client_assertion_type: ASSERTION_TYPE,
        };
        proxy.reset();
        return request(host.app)
          .post(`${host.base}/token`)
          .type('form')
          .set('DPoP', DPoP)
          .send({ ...form, ...signed });
      };
      const pair = pkce();
      const answer = await authorize(host, { ...authorizationForm('web', pair), client_id: 'signer' });
      const exchange = {
        grant_type: 'authorization_code',
        code: answerOf(answer).code!,
        code_verifier: pair.verifier,
        redirect_uri: CALLBACK,
      };
      const exchanged = await send(exchange, await proof());
      expect([exchanged.status, proxy.roundTrips()]).toEqual([200, 3]);
      const { refresh_token: token } = exchanged.body as { refresh_token: string };
      const refreshed = await send({ grant_type: 'refresh_token', refresh_token: token }, await proof());
      expect([refreshed.status, proxy.roundTrips()]).toEqual([200, 3]);
    });
  });

  it('a client that registered itself takes no more, although it is kept from its first token on', async () => {
    const clientId = randomUUID();
    const metadata = { clientId, redirectUris: [CALLBACK], scope: 'profile', clientIdIssuedAt: 1 };
    await host.adapter.saveClient!({ ...metadata, firstParty: true }, 600);
    await host.adapter.extendClient!(clientId, 600);
    const pair = pkce();
    const { code = '' } = answerOf(
      await authorize(host, { ...authorizationForm('web', pair), client_id: clientId }),
    );
    let refreshToken = '';
    const send = async (form: Record<string, string>): Promise<request.Response> => {
      const response = await request(host.app)
        .post(`${host.base}/token`)
        .type('form')
        .send({ client_id: clientId, ...form });
      refreshToken = (response.body as { refresh_token: string }).refresh_token;
      return response;
    };
    const exchange = {
      grant_type: 'authorization_code',
      code,
      code_verifier: pair.verifier,
      redirect_uri: CALLBACK,
    };
    expect(await roundTripsOf(() => send(exchange))).toBe(2);
    expect(await roundTripsOf(() => send({ grant_type: 'refresh_token', refresh_token: refreshToken }))).toBe(
      2,
    );
  });

  it('userinfo takes one', async () => {
    const bearer = await getTokens(host, 'web', { scope: 'openid' });
    const call = (): request.Test =>
      request(host.app).get(`${host.base}/userinfo`).set('Authorization', `Bearer ${bearer.access_token}`);
    expect(await roundTripsOf(call)).toBe(1);
  });

  it('an introspection takes one', async () => {
    const tokens = await getTokens(host);
    expect(await roundTripsOf(() => post(host, '/introspect', 'web', { token: tokens.access_token }))).toBe(
      1,
    );
    expect(await roundTripsOf(() => post(host, '/introspect', 'web', { token: tokens.refresh_token }))).toBe(
      1,
    );
  });

  it('client credentials of a static client take none', async () => {
    expect(
      await roundTripsOf(() => post(host, '/token', 'machine', { grant_type: 'client_credentials' })),
    ).toBe(0);
  });

  it('requireToken takes none, and one with checkRevocation', async () => {
    const { access_token: token } = await getTokens(host);
    const call = (path: string): request.Test =>
      request(host.app).get(path).set('Authorization', `Bearer ${token}`);
    expect(await roundTripsOf(() => call('/api'))).toBe(0);
    expect(await roundTripsOf(() => call('/checked'))).toBe(1);
  });

  it('a token that is not ours takes none', async () => {
    proxy.reset();
    await refresh(host, 'web', 'A'.repeat(72));
    expect(proxy.roundTrips()).toBe(0);
  });
});
