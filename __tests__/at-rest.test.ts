import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';

import Redis from 'ioredis';
import request from 'supertest';

import { generateClientSecret, memoryAdapter, oidcProvider, type Adapter } from 'express-oauth-router';

import { agentOf, callback, federatedHost, leave } from './support/federation';

import {
  answerOf,
  authorizationForm,
  authorize,
  CALLBACK,
  CLIENTS,
  getCode,
  getTokens,
  makeHost,
  pkce,
  post,
  redeem,
  refresh,
  SECRET,
  type Tokens,
} from './support/host';
import { assertion, ASSERTION_TYPE, clientKey, dpopProof, requestObject } from './support/jose';
import { json, misbehavingProvider, type MisbehavingProvider } from './support/misbehaving-provider';

/** Everything that was ever on the wire and must not be found anywhere. */
async function liveThrough(host: ReturnType<typeof makeHost>): Promise<string[]> {
  const secrets: string[] = [SECRET, 'web-secret', 'machine-secret', 'wrong-secret'];
  const collect = (body: Partial<Tokens>): void => {
    secrets.push(...[body.access_token, body.refresh_token].filter((token) => token !== undefined));
  };
  const { clientSecret, clientSecretHash } = generateClientSecret();
  secrets.push(clientSecret);
  await host.adapter.saveClient!({
    clientId: 'stored',
    clientSecretHash,
    grantTypes: ['client_credentials'],
  });
  await request(host.app)
    .post('/token')
    .type('form')
    .auth('stored', clientSecret)
    .send('grant_type=client_credentials');
  await request(host.app)
    .post('/token')
    .type('form')
    .auth('stored', 'wrong-secret')
    .send('grant_type=client_credentials');

  const unspent = await getCode(host);
  const spent = await getCode(host);
  secrets.push(unspent.code, spent.code, unspent.verifier);
  const redeemed = await redeem(host, 'web', spent);
  collect(redeemed.body as Tokens);
  collect((await refresh(host, 'web', (redeemed.body as Tokens).refresh_token)).body as Tokens);
  host.pass(60);
  await redeem(host, 'web', spent);
  const tokens = await getTokens(host);
  collect(tokens);
  await post(host, '/revoke', 'web', { token: tokens.access_token });
  await post(host, '/introspect', 'web', { token: tokens.refresh_token });
  await refresh(host, 'web', tokens.refresh_token.replace(/.{8}$/, 'AAAAAAAA'));
  collect((await post(host, '/token', 'machine', { grant_type: 'client_credentials' })).body as Tokens);

  secrets.push(...(await signThrough(host)));

  // Parked, and on a consent page.
  host.user = undefined;
  const parked = pkce();
  await authorize(host, authorizationForm('web', parked, { state: 's'.repeat(3000) }));
  host.user = { id: 'alice' };
  await authorize(host, authorizationForm('third', pkce())).set('Accept', 'text/html');
  secrets.push(parked.verifier);
  expect(answerOf(await authorize(host, authorizationForm('web', pkce()))).code).toBeDefined();
  return secrets;
}

/** Assertions, proofs, request objects and ID tokens; and a secret that is kept to be read again. */
async function signThrough(host: ReturnType<typeof makeHost>): Promise<string[]> {
  const key = await clientKey();
  const hmacSecret = randomBytes(32).toString('base64url');
  const registered = { redirectUris: [CALLBACK], scope: 'openid profile', firstParty: true };
  await host.adapter.saveClient!({ clientId: 'signer', jwks: { keys: [key.publicJwk] }, ...registered });
  await host.adapter.saveClient!({
    clientId: 'hmac',
    clientSecretSealed: host.oauth.sealClientSecret(hmacSecret),
    grantTypes: ['client_credentials'],
  });
  const target = { clientId: 'signer', issuer: host.issuer, now: host.now };
  const sent: string[] = [hmacSecret, String(key.privateJwk.d)];
  const send = async (path: string, form: Record<string, string>): Promise<Record<string, string>> => {
    const credentials = {
      client_assertion: await assertion(key, target),
      client_assertion_type: ASSERTION_TYPE,
    };
    const DPoP = await dpopProof(key, { url: host.issuer + path, now: host.now });
    sent.push(credentials.client_assertion, DPoP);
    const test = (): request.Test =>
      request(host.app)
        .post(path)
        .type('form')
        .set('DPoP', DPoP)
        .send({ ...form, ...credentials });
    const { body } = await test();
    // The same again is refused, and is an event.
    expect((await test()).status).toBe(401);
    return body as Record<string, string>;
  };
  const pair = pkce();
  const { client_id: _, ...parameters } = authorizationForm('web', pair, { scope: 'openid profile' });
  const object = await requestObject(key, target, parameters);
  const pushed = await send('/par', { request: object });
  const answer = answerOf(await authorize(host, { client_id: 'signer', request_uri: pushed.request_uri! }));
  const tokens = await send('/token', {
    grant_type: 'authorization_code',
    code: answer.code!,
    code_verifier: pair.verifier,
    redirect_uri: CALLBACK,
  });
  sent.push(object, answer.code!, pair.verifier);
  for (const name of ['access_token', 'refresh_token', 'id_token']) sent.push(tokens[name]!);
  return sent;
}

/** Sign-ins through a provider: done, under way, refused, linked; and its tokens, kept and refreshed. */
async function federateThrough(
  provider: MisbehavingProvider,
): Promise<{ events: unknown; secrets: string[] }> {
  const host = federatedHost(
    { store: 'redis', mount: 'root' },
    {
      acme: oidcProvider({
        issuer: provider.issuer,
        clientId: 'our-server',
        clientSecret: 'our-secret-at-the-provider',
        storeTokens: true,
      }),
    },
    { federation: { linkWithAccessTokens: true } },
  );
  const secrets = [
    'our-secret-at-the-provider',
    'upstream-access-token',
    'upstream-refresh-token',
    'second-access-token',
  ];
  const own = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web' });
  const { body } = await request(host.app).post('/link_tickets').set('Authorization', `Bearer ${own}`);
  const ticket = (body as { ticket: string }).ticket;
  secrets.push(own, ticket);

  const go = async (
    more: Record<string, string> = {},
    answer: Record<string, string> = {},
  ): Promise<void> => {
    const agent = agentOf(host);
    const pair = pkce();
    const left = await leave(host, agent, { more, pair });
    const location = left.headers.location!;
    const asked = new URL(location).searchParams;
    secrets.push(asked.get('state')!, asked.get('nonce')!, pair.verifier);
    if (answer.abandoned) return;
    const back = provider.callbackFor(location, answer);
    secrets.push(new URLSearchParams(back.split('?')[1]).get('code')!);
    const { code } = answerOf(await callback(agent, back));
    if (code !== undefined) secrets.push(code);
  };
  provider.tokens = { refresh_token: 'upstream-refresh-token', expires_in: 100 };
  await go();
  await go({}, { abandoned: 'yes' });
  await go({ type: 'link', token: ticket });
  await go({ type: 'link', token: own });
  await go({}, { iss: 'https://evil.example' });
  const { client_id: _, ...form } = authorizationForm('web', pkce(), {
    connection: 'acme',
    type: 'link',
    token: own,
  });
  await post(host, '/par', 'web', form);
  provider.instead['/token'] = (_req, res) =>
    json(res, 200, { access_token: 'second-access-token', token_type: 'Bearer', expires_in: 100 });
  host.pass(50);
  expect(await host.oauth.providerTokens('acme-eve', 'acme')).toMatchObject({
    accessToken: 'second-access-token',
  });
  provider.instead['/token'] = (_req, res) =>
    json(res, 400, { error: 'invalid_grant', error_description: 'upstream-refresh-token was used' });
  host.pass(100);
  expect(await host.oauth.providerTokens('acme-eve', 'acme')).toBeUndefined();
  return { events: host.events, secrets };
}

it('sign-ins through a provider: the same', async () => {
  const redis = new Redis(process.env.REDIS_URL!);
  const provider = await misbehavingProvider();
  const { events, secrets } = await federateThrough(provider);
  await provider.close();
  const keys = await redis.keys('*');
  const values = await Promise.all(
    keys.map(async (key) =>
      (await redis.type(key)) === 'string' ? redis.get(key) : redis.hgetall(key).catch(() => ''),
    ),
  );
  await redis.quit();
  const dump = JSON.stringify([keys, values]);
  expect(dump).toContain('federation:');
  const seen = inspect(events, { depth: 10, maxStringLength: null, maxArrayLength: null });
  expect(seen).toContain('provider.failed');
  expect(secrets.length).toBeGreaterThan(20);
  for (const secret of secrets) {
    expect([secret, dump.includes(secret)]).toEqual([secret, false]);
    expect([secret, seen.includes(secret)]).toEqual([secret, false]);
  }
});

describe.each(['jwt', 'opaque'] as const)('at rest, with %s access tokens', (accessTokenFormat) => {
  it('a dump of Redis, and all events, hold nothing that was on the wire', async () => {
    const redis = new Redis(process.env.REDIS_URL!);
    const host = makeHost({ store: 'redis', mount: 'root' }, { accessTokenFormat });
    const secrets = await liveThrough(host);
    let dump = '';
    for (const key of await redis.keys('*')) {
      const type = await redis.type(key);
      const value =
        type === 'hash'
          ? await redis.hgetall(key)
          : type === 'zset'
            ? await redis.zrange(key, '0', '-1')
            : await redis.get(key);
      dump += `${key} ${JSON.stringify(value)}\n`;
    }
    await redis.quit();
    expect(dump).toContain('alice');
    const events = inspect(host.events, { depth: 10, maxStringLength: null, maxArrayLength: null });
    expect(events).toContain('client_authentication.failed');
    for (const secret of secrets) {
      expect(dump.includes(secret)).toBe(false);
      expect(events.includes(secret)).toBe(false);
    }
  });

  it('every call of an adapter is free of it', async () => {
    const calls: unknown[] = [];
    const inner = memoryAdapter() as unknown as Record<string, (...args: unknown[]) => unknown>;
    const spied = Object.fromEntries(
      Object.entries(inner).map(([name, run]) => [
        name,
        (...args: unknown[]): unknown => {
          calls.push([name, args]);
          return run(...args);
        },
      ]),
    );
    const host = makeHost(
      { store: 'memory', mount: 'root' },
      { accessTokenFormat, adapter: spied as unknown as Adapter },
    );
    const secrets = await liveThrough(host);
    const seen = JSON.stringify(calls);
    expect(seen).toContain('advanceGrant');
    for (const secret of secrets) expect(seen.includes(secret)).toBe(false);
  });
});

it('a dump of the store mints nothing: the tokens need the secrets', async () => {
  const host = makeHost({ store: 'memory', mount: 'root' });
  const tokens = await getTokens(host);
  const thief = makeHost(
    { store: 'memory', mount: 'root' },
    { adapter: host.adapter, secrets: ['a guess that is as long as it has to be'] },
  );
  const grantId = Buffer.from(tokens.refresh_token, 'base64url').toString('base64url', 0, 16);
  expect(await thief.adapter.getGrant(grantId)).toBeDefined();
  const forged = await getTokens(thief);
  expect((await refresh(host, 'web', forged.refresh_token)).status).toBe(400);
});

it('every key in Redis has an end, but for clients and consents', async () => {
  const redis = new Redis(process.env.REDIS_URL!);
  const host = makeHost({ store: 'redis', mount: 'root' }, { clients: [...Object.values(CLIENTS)] });
  const before = new Set(await redis.keys('*'));
  await liveThrough(host);
  const made = (await redis.keys('*')).filter(
    (key) => !before.has(key) && !/:(clients?|consent)(:|$)/.test(key),
  );
  expect(made.length).toBeGreaterThan(3);
  for (const key of made) expect([key, (await redis.pttl(key)) > 0]).toEqual([key, true]);
  await redis.quit();
});
