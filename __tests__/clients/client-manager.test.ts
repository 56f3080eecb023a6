import { pbkdf2Sync, randomBytes } from 'node:crypto';

import bcrypt from 'bcryptjs';
import jwt from 'jsonwebtoken';
import request from 'supertest';

import {
  checkClient,
  fromRfc7591,
  hashClientSecret,
  memoryAdapter,
  toRfc7591,
  type ClientMetadata,
  type NewClient,
} from 'express-oauth-router';

import {
  answerOf,
  authorizationForm,
  authorize,
  CALLBACK,
  hasClock,
  isActive,
  makeHost,
  pkce,
  STORES,
  type Host,
} from '../support/host';
import { ASSERTION_TYPE } from '../support/jose';

const MACHINE = { grantTypes: ['client_credentials'], scope: 'jobs:run' };

/** Asks for a token of the client's own, with HTTP Basic. */
async function statusOf(host: Host, clientId: string, clientSecret: string): Promise<number> {
  const { status } = await request(host.app)
    .post(`${host.base}/token`)
    .type('form')
    .auth(clientId, clientSecret)
    .send({ grant_type: 'client_credentials' });
  return status;
}

/** An adapter whose first change of a client waits, before anything is written, until it is released. */
function heldReplace({ adapter }: Host): {
  adapter: Host['adapter'];
  reached: Promise<void>;
  release(): void;
} {
  let release = (): void => undefined;
  let reach = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const setOnce: Host['adapter']['setOnce'] = async (key, ttl) => {
    if (key.startsWith('client-change:')) {
      reach();
      await gate;
    }
    return adapter.setOnce(key, ttl);
  };
  return { adapter: { ...adapter, setOnce }, reached, release };
}

describe.each(STORES)('oauth.clients on $store', (variant) => {
  let host: Host;

  beforeEach(() => (host = makeHost(variant)));

  it('creates a client with a secret that is told once', async () => {
    const { client, clientSecret } = await host.oauth.clients.create({ ...MACHINE, clientName: 'Jobs' });
    expect(client).toEqual({
      ...MACHINE,
      clientName: 'Jobs',
      clientId: expect.stringMatching(/^[\w-]{43}$/) as string,
      clientIdIssuedAt: Math.floor(host.now / 1000),
      grantsNotBefore: Math.floor(host.now / 1000),
    });
    expect(await host.oauth.clients.get(client.clientId)).toEqual(client);
    expect(await statusOf(host, client.clientId, clientSecret!)).toBe(200);
    expect(await statusOf(host, client.clientId, `${clientSecret}x`)).toBe(401);
    expect(JSON.stringify(await host.adapter.getClient(client.clientId))).not.toContain(clientSecret);
    expect(host.eventNames()).toContain('client.registered');
  });

  it('creates public clients, clients with keys, and clients that bring their secret', async () => {
    const { clients } = host.oauth;
    const open = await clients.create({ redirectUris: [CALLBACK], tokenEndpointAuthMethod: 'none' });
    expect(open.clientSecret).toBeUndefined();
    const keys = await clients.create({ ...MACHINE, jwksUri: 'https://app.example.com/jwks' });
    expect(keys.clientSecret).toBeUndefined();
    const own = await clients.create({ ...MACHINE, clientId: 'own', clientSecret: 'chosen by somebody' });
    expect(own.clientSecret).toBeUndefined();
    expect(await statusOf(host, 'own', 'chosen by somebody')).toBe(200);
    const clientSecretHash = await hashClientSecret('hashed elsewhere');
    await clients.create({ ...MACHINE, clientId: 'hashed', clientSecretHash });
    expect(await statusOf(host, 'hashed', 'hashed elsewhere')).toBe(200);
    const jwt = await clients.create({ ...MACHINE, tokenEndpointAuthMethod: 'client_secret_jwt' });
    expect(jwt.clientSecret).toMatch(/^[\w-]{43}$/);
  });

  it.each<[string, NewClient, RegExp]>([
    ['without a redirect URI', {}, /needs redirectUris/],
    ['with a script', { redirectUris: ['javascript:alert(1)'] }, /redirectUris/],
    ['with a typo', { ...MACHINE, redirectUrls: [CALLBACK] } as never, /did you mean redirectUris/],
    ['with a grant type that is off', { ...MACHINE, grantTypes: ['urn:x:y'] }, /not switched on/],
    ['with an algorithm without a key', { ...MACHINE, idTokenSignedResponseAlg: 'ES512' }, /no signing key/],
    [
      'with a weak secret for HMAC',
      { ...MACHINE, tokenEndpointAuthMethod: 'client_secret_jwt', clientSecret: 'x' },
      /32 bytes/,
    ],
    ['with an empty secret', { ...MACHINE, clientSecret: '' }, /clientSecret/],
    ['with another kind of hash', { ...MACHINE, clientSecretHash: 'plain text' }, /clientSecretHash/],
    ['under the id of a client of the options', { ...MACHINE, clientId: 'web' }, /exists/],
  ])('refuses a client %s', async (_name, client, message) => {
    await expect(host.oauth.clients.create(client)).rejects.toMatchObject({
      code: 'invalid_client_metadata',
      message: expect.stringMatching(message) as string,
    });
    expect(await host.oauth.clients.list()).toEqual([]);
  });

  it('does not create a client twice', async () => {
    await host.oauth.clients.create({ ...MACHINE, clientId: 'twice' });
    await expect(host.oauth.clients.create({ ...MACHINE, clientId: 'twice' })).rejects.toThrow(/exists/);
  });

  it('changes members, removes them with null, and keeps the secret', async () => {
    const { clients } = host.oauth;
    const { client, clientSecret } = await clients.create({ ...MACHINE, clientName: 'Jobs' });
    const { clientId } = client;
    const changed = await clients.update(clientId, { clientName: null, scope: 'jobs:run jobs:read' });
    expect(changed).toEqual({
      client: {
        ...MACHINE,
        scope: 'jobs:run jobs:read',
        clientId,
        clientIdIssuedAt: client.clientIdIssuedAt,
        grantsNotBefore: client.grantsNotBefore,
      },
      clientSecret: undefined,
    });
    expect(await clients.get(clientId)).toEqual(changed?.client);
    expect(await statusOf(host, clientId, clientSecret!)).toBe(200);
    expect(await clients.update('nobody', {})).toBeUndefined();
    for (const changes of [
      { grantTypes: ['authorization_code'] },
      { clientSecretHash: 'x' },
      { clientId: 'x' },
      { scop: 'x' },
    ])
      await expect(clients.update(clientId, changes as never)).rejects.toMatchObject({
        code: 'invalid_client_metadata',
      });
    expect(await clients.get(clientId)).toEqual(changed?.client);
  });

  it('a new method gets a secret, or loses it', async () => {
    const { clients } = host.oauth;
    const { client } = await clients.create({ redirectUris: [CALLBACK], tokenEndpointAuthMethod: 'none' });
    const { clientId } = client;
    const confidential = await clients.update(clientId, {
      ...MACHINE,
      tokenEndpointAuthMethod: 'client_secret_basic',
    });
    expect(await statusOf(host, clientId, confidential!.clientSecret!)).toBe(200);
    const keys = await clients.update(clientId, {
      tokenEndpointAuthMethod: 'private_key_jwt',
      jwksUri: 'https://app.example.com/jwks',
    });
    expect(keys?.clientSecret).toBeUndefined();
    expect(await statusOf(host, clientId, confidential!.clientSecret!)).toBe(401);
    const stored = await host.adapter.getClient(clientId);
    expect(stored).not.toHaveProperty('clientSecretHash');
    expect(stored).not.toHaveProperty('previousSecrets');
  });

  it('a secret that is replaced is good for a while, and then no more', async () => {
    const { clients } = host.oauth;
    const { client, clientSecret: first } = await clients.create(MACHINE);
    const { clientId } = client;
    const { clientSecret: second } = (await clients.rotateSecret(clientId, { keepFor: 60 }))!;
    const { clientSecret: third } = (await clients.rotateSecret(clientId, { keepFor: 600 }))!;
    const all = async (): Promise<number[]> =>
      Promise.all([first, second, third].map((secret) => statusOf(host, clientId, secret!)));
    expect(await all()).toEqual([200, 200, 200]);
    host.pass(61);
    expect(await all()).toEqual([401, 200, 200]);
    // A change does not end it, and does not prolong it.
    await clients.update(clientId, { clientName: 'Jobs' });
    host.pass(500);
    expect(await all()).toEqual([401, 200, 200]);
    host.pass(40);
    expect(await all()).toEqual([401, 401, 200]);
    const { clientSecret: fourth } = (await clients.rotateSecret(clientId, { keepFor: 0 }))!;
    expect(await all()).toEqual([401, 401, 401]);
    expect(await statusOf(host, clientId, fourth!)).toBe(200);
    expect(await clients.rotateSecret('nobody')).toBeUndefined();
    await expect(clients.rotateSecret(clientId, { keepFor: -1 })).rejects.toThrow(TypeError);
  });

  it('a secret that has leaked is gone at once, with those before it', async () => {
    const { clients } = host.oauth;
    const { client, clientSecret: first } = await clients.create(MACHINE);
    const { clientSecret: second } = (await clients.rotateSecret(client.clientId))!;
    const { clientSecret: third } = (await clients.rotateSecret(client.clientId, { keepFor: 0 }))!;
    const status = (secret: string | undefined): Promise<number> => statusOf(host, client.clientId, secret!);
    expect([await status(first), await status(second), await status(third)]).toEqual([401, 401, 200]);
  });

  it('a change that began before a rotation does not bring the old secret back', async () => {
    const { client, clientSecret: leaked } = await host.oauth.clients.create(MACHINE);
    const { clientId } = client;
    const held = heldReplace(host);
    const slow = makeHost(variant, { adapter: held.adapter });
    slow.now = host.now;
    const update = slow.oauth.clients.update(clientId, { clientName: 'Another name' });
    await held.reached;
    const { clientSecret } = (await host.oauth.clients.rotateSecret(clientId, { keepFor: 0 }))!;
    held.release();
    expect((await update)?.client.clientName).toBe('Another name');
    expect(await statusOf(host, clientId, clientSecret!)).toBe(200);
    expect(await statusOf(host, clientId, leaked!)).toBe(401);
  });

  it('of changes at once, none is lost', async () => {
    const { clients } = host.oauth;
    const { client } = await clients.create({ ...MACHINE, redirectUris: [CALLBACK] });
    const { clientId } = client;
    const [, , first, second] = await Promise.all([
      clients.update(clientId, { clientName: 'Name' }),
      clients.update(clientId, { clientUri: 'https://app.example.com' }),
      clients.rotateSecret(clientId),
      clients.rotateSecret(clientId),
    ]);
    expect(await clients.get(clientId)).toMatchObject({
      clientName: 'Name',
      clientUri: 'https://app.example.com',
    });
    for (const { clientSecret } of [first!, second!])
      expect(await statusOf(host, clientId, clientSecret!)).toBe(200);
  });

  it('of two that are created at once under one id, one is created', async () => {
    const results = await Promise.allSettled(
      [1, 2, 3].map(() => host.oauth.clients.create({ ...MACHINE, clientId: 'same' })),
    );
    const created = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(created).toHaveLength(1);
    expect(await statusOf(host, 'same', created[0]!.clientSecret!)).toBe(200);
  });

  it('what was granted before a client was deleted stays withdrawn', async () => {
    const { clients } = host.oauth;
    const metadata = { clientId: 'again', redirectUris: [CALLBACK], scope: 'profile', firstParty: true };
    const { clientSecret } = await clients.create(metadata);
    const pair = pkce();
    const answer = await authorize(host, {
      ...authorizationForm('web', pair),
      client_id: 'again',
      redirect_uri: CALLBACK,
      scope: 'profile',
    });
    const { code } = answerOf(answer);
    const token = (secret: string, form: Record<string, string>): request.Test =>
      request(host.app).post(`${host.base}/token`).type('form').auth('again', secret).send(form);
    const { body } = await token(clientSecret!, {
      grant_type: 'authorization_code',
      code: code!,
      redirect_uri: CALLBACK,
      code_verifier: pair.verifier,
    });
    const { refresh_token: refreshToken } = body as { refresh_token: string };
    expect(refreshToken).toBeDefined();
    await clients.delete('again');
    host.pass(3);
    // The lock of the first creation is counted by the store's clock.
    await new Promise((resolve) => setTimeout(resolve, hasClock(variant) ? 0 : 2100));
    const { clientSecret: next } = await clients.create(metadata);
    const refreshed = await token(next!, { grant_type: 'refresh_token', refresh_token: refreshToken });
    expect([refreshed.status, refreshed.body.error]).toEqual([400, 'invalid_grant']);
  });

  it('an id that no client can have, or that only looks alike, is nobody', async () => {
    const { clients } = host.oauth;
    await clients.create({ ...MACHINE, clientId: 'Case' });
    const folding = makeHost(variant, {
      adapter: { ...host.adapter, getClient: () => host.adapter.getClient('Case') },
    });
    for (const id of ['case', 'a\0b', '', 'ü']) {
      expect(await folding.oauth.clients.get(id)).toBeUndefined();
      expect(await folding.oauth.clients.update(id, { clientName: 'x' })).toBeUndefined();
      expect(await folding.oauth.clients.delete(id)).toBe(false);
    }
    for (const limit of [0, -1, 1.5, Infinity, NaN, 1001])
      await expect(clients.list({ limit })).rejects.toThrow(TypeError);
  });

  it('a secret that was not sealed is not repeated in the message', async () => {
    const plain = 'plain text that must not be told';
    const refused = host.oauth.clients.create({
      ...MACHINE,
      tokenEndpointAuthMethod: 'client_secret_jwt',
      clientSecretSealed: plain,
    });
    await expect(refused).rejects.toThrow(/sealClientSecret/);
    await expect(refused).rejects.not.toThrow(plain);
  });

  it('a sealed secret is replaced in the same way, and a public client has none', async () => {
    const { clients } = host.oauth;
    const { client, clientSecret: first } = await clients.create({
      ...MACHINE,
      tokenEndpointAuthMethod: 'client_secret_jwt',
    });
    const { clientId } = client;
    const { clientSecret: second } = (await clients.rotateSecret(clientId, { keepFor: 60 }))!;
    const status = async (secret: string): Promise<number> => {
      const claims = { iss: clientId, sub: clientId, aud: host.issuer, jti: randomBytes(8).toString('hex') };
      const now = Math.floor(host.now / 1000);
      const signed = jwt.sign({ ...claims, iat: now, exp: now + 60 }, secret, { algorithm: 'HS256' });
      const response = await request(host.app).post(`${host.base}/token`).type('form').send({
        grant_type: 'client_credentials',
        client_assertion_type: ASSERTION_TYPE,
        client_assertion: signed,
      });
      return response.status;
    };
    expect([await status(first!), await status(second!)]).toEqual([200, 200]);
    host.pass(61);
    expect([await status(first!), await status(second!)]).toEqual([401, 200]);
    const open = await clients.create({ redirectUris: [CALLBACK], tokenEndpointAuthMethod: 'none' });
    await expect(clients.rotateSecret(open.client.clientId)).rejects.toThrow(/no secret/);
  });

  it('a deleted client is gone, and its tokens with it', async () => {
    const { clients } = host.oauth;
    const { client, clientSecret } = await clients.create(MACHINE);
    const { body } = await request(host.app)
      .post(`${host.base}/token`)
      .type('form')
      .auth(client.clientId, clientSecret!)
      .send({ grant_type: 'client_credentials' });
    expect(await clients.delete(client.clientId)).toBe(true);
    expect(await clients.get(client.clientId)).toBeUndefined();
    expect(await isActive(host, (body as { access_token: string }).access_token)).toBe(false);
    expect(await clients.delete(client.clientId)).toBe(false);
    expect(host.eventNames().filter((name) => name === 'client.deleted')).toHaveLength(1);
  });

  it('lists clients in parts, without their secrets', async () => {
    const { clients } = host.oauth;
    for (const clientId of ['c', 'a', 'e', 'b', 'd']) await clients.create({ ...MACHINE, clientId });
    await clients.rotateSecret('a');
    const ids = async (options?: Parameters<typeof clients.list>[0]): Promise<string[]> =>
      (await clients.list(options)).map(({ clientId }) => clientId);
    expect(await ids()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await ids({ limit: 2 })).toEqual(['a', 'b']);
    expect(await ids({ after: 'b', limit: 2 })).toEqual(['c', 'd']);
    expect(await ids({ after: 'e' })).toEqual([]);
    expect(JSON.stringify(await clients.list())).not.toMatch(/sha256|previousSecrets/);
  });
});

describe('an adapter without the functions', () => {
  const variant = { store: 'memory', mount: 'root' } as const;

  it('is an error that names the function', async () => {
    const { clients } = makeHost(variant, {
      adapter: {
        ...memoryAdapter(),
        saveClient: undefined,
        replaceClient: undefined,
        deleteClient: undefined,
        listClients: undefined,
      },
    }).oauth;
    await expect(clients.create(MACHINE)).rejects.toThrow(/needs saveClient\(\)/);
    await expect(clients.list()).rejects.toThrow(/needs listClients\(\)/);
    await expect(clients.delete('x')).rejects.toThrow(/needs deleteClient\(\)/);
  });
});

describe.each(STORES)('verifyClientSecret on $store', (variant) => {
  const secret = 'a secret of the old server';
  const salt = randomBytes(16).toString('hex');
  const derived = (text: string): string =>
    `pbkdf2_sha256$1000$${salt}$${pbkdf2Sync(text, salt, 1000, 32, 'sha256').toString('base64')}`;
  let asked: string[];
  let host: Host;

  async function open(client: Partial<ClientMetadata>): Promise<void> {
    asked = [];
    host = makeHost(variant, {
      verifyClientSecret: (clientSecret, hash) => {
        asked.push(hash);
        if (hash.startsWith('$2')) return bcrypt.compare(clientSecret, hash);
        return hash === derived(clientSecret);
      },
    });
    await host.adapter.saveClient!({ ...MACHINE, clientId: 'legacy', ...client });
  }

  it.each([
    ['bcrypt', bcrypt.hashSync(secret, 4)],
    ['PBKDF2', derived(secret)],
  ])('takes a hash of %s, which the first success replaces by ours', async (_name, hash) => {
    await open({ clientSecretHash: hash, clientName: 'Old' });
    expect(await statusOf(host, 'legacy', 'wrong')).toBe(401);
    expect((await host.adapter.getClient('legacy'))?.clientSecretHash).toBe(hash);
    expect(await statusOf(host, 'legacy', secret)).toBe(200);
    expect(asked).toEqual([hash, hash]);
    const stored = await host.adapter.getClient('legacy');
    expect(stored).toMatchObject({
      clientName: 'Old',
      clientSecretHash: [expect.stringMatching(/^scrypt:/)],
    });
    expect(await statusOf(host, 'legacy', secret)).toBe(200);
    expect(await statusOf(host, 'legacy', 'wrong')).toBe(401);
    expect(asked).toHaveLength(2);
  });

  it('replaces only the hash that matched', async () => {
    const other = derived('another');
    await open({ clientSecretHash: [other, derived(secret)] });
    expect(await statusOf(host, 'legacy', secret)).toBe(200);
    const hashes = (await host.adapter.getClient('legacy'))?.clientSecretHash;
    expect(hashes).toEqual([other, expect.stringMatching(/^scrypt:/) as string]);
    expect(await statusOf(host, 'legacy', 'another')).toBe(200);
  });

  it('a hook that throws, or says neither yes nor no, lets nobody in', async () => {
    for (const verify of [
      () => Promise.reject(new Error('down')),
      () => 'yes' as never,
      () => undefined as never,
      () => 1 as never,
    ]) {
      const failing = makeHost(variant, { verifyClientSecret: verify });
      await failing.adapter.saveClient!({
        ...MACHINE,
        clientId: 'legacy',
        clientSecretHash: derived(secret),
      });
      expect(await statusOf(failing, 'legacy', secret)).toBe(500);
      expect(failing.eventNames()).toContain('server.failed');
    }
  });

  it('a rotation while it is hashed anew is not undone', async () => {
    await open({ clientSecretHash: derived(secret) });
    const held = heldReplace(host);
    const slow = makeHost(variant, {
      adapter: held.adapter,
      verifyClientSecret: (clientSecret, hash) => hash === derived(clientSecret),
    });
    const [authenticated] = await Promise.all([
      statusOf(slow, 'legacy', secret),
      (async (): Promise<void> => {
        await held.reached;
        const { clientSecret } = (await host.oauth.clients.rotateSecret('legacy', { keepFor: 0 }))!;
        held.release();
        expect(await statusOf(host, 'legacy', clientSecret!)).toBe(200);
      })(),
    ]);
    expect(authenticated).toBe(200);
    expect(await statusOf(host, 'legacy', secret)).toBe(401);
  });

  it('a client of the options is not hashed anew', async () => {
    const hash = derived(secret);
    let reads = 0;
    const fixed = makeHost(variant, {
      clients: [{ ...MACHINE, clientId: 'legacy', clientSecretHash: hash }],
      verifyClientSecret: (clientSecret, given) => given === hash && derived(clientSecret) === hash,
    });
    fixed.adapter.saveClient = () => expect(reads++).toBe(-1);
    expect([await statusOf(fixed, 'legacy', secret), await statusOf(fixed, 'legacy', 'x')]).toEqual([
      200, 401,
    ]);
    expect(reads).toBe(0);
  });

  it('an adapter that cannot store a client still lets it in', async () => {
    await open({ clientSecretHash: derived(secret) });
    const { adapter } = host;
    const reading = makeHost(variant, {
      adapter: {
        ...adapter,
        saveClient: () => Promise.reject(new Error('read-only')),
        replaceClient: () => Promise.reject(new Error('read-only')),
      },
      verifyClientSecret: (clientSecret, hash) => hash === derived(clientSecret),
    });
    expect(await statusOf(reading, 'legacy', secret)).toBe(200);
    expect(reading.eventNames()).toContain('store.failed');
  });

  it('without it, such a client is an error of the server', async () => {
    const plain = makeHost(variant);
    await plain.adapter.saveClient!({ ...MACHINE, clientId: 'legacy', clientSecretHash: derived(secret) });
    expect(await statusOf(plain, 'legacy', secret)).toBe(500);
  });
});

describe('checkClient()', () => {
  it('says what the options would say', () => {
    expect(checkClient({ clientId: 'web', redirectUris: [CALLBACK] })).toEqual([]);
    expect(checkClient({ clientId: 'web', redirectUris: [CALLBACK], clientSecret: 'x' })).toEqual([]);
    expect(checkClient({ clientId: 'web', redirectUri: CALLBACK } as never)).toEqual(
      expect.arrayContaining([expect.stringContaining('did you mean "redirectUris"')]),
    );
    expect(checkClient({ clientId: 'web', redirectUris: ['http://app.example.com'] })).toHaveLength(1);
    expect(
      checkClient({ clientId: 'web', redirectUris: ['http://app.example.com'] }, { allowHttp: true }),
    ).toEqual([]);
    const hashed = { clientId: 'web', redirectUris: [CALLBACK], clientSecretHash: '$2b$10$of-bcrypt' };
    expect(checkClient(hashed)).toHaveLength(1);
    expect(checkClient(hashed, { foreignHashes: true })).toEqual([]);
    expect(checkClient({ clientId: 'web', redirectUris: [CALLBACK], clientSecret: undefined })).toEqual([
      '"clientSecret" is not set',
    ]);
    for (const nothing of [null, undefined, 'x', [], 1])
      expect(checkClient(nothing as never)).toHaveLength(1);
  });
});

describe('fromRfc7591() and toRfc7591()', () => {
  const wire = {
    client_id: 'web',
    client_secret: 'secret',
    client_name: 'Web',
    redirect_uris: [CALLBACK],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    scope: 'openid profile',
    token_endpoint_auth_method: 'client_secret_post',
    id_token_signed_response_alg: 'ES256',
    post_logout_redirect_uris: [CALLBACK],
    backchannel_logout_uri: 'https://app.example.com/logout',
    backchannel_logout_session_required: true,
    tos_uri: '',
    policy_uri: null,
  };

  it('convert there and back', () => {
    const client = fromRfc7591(wire);
    expect(client).toEqual({
      clientId: 'web',
      clientSecret: 'secret',
      clientName: 'Web',
      redirectUris: [CALLBACK],
      grantTypes: ['authorization_code', 'refresh_token'],
      responseTypes: ['code'],
      scope: 'openid profile',
      tokenEndpointAuthMethod: 'client_secret_post',
      idTokenSignedResponseAlg: 'ES256',
      postLogoutRedirectUris: [CALLBACK],
      backchannelLogoutUri: 'https://app.example.com/logout',
    });
    expect(checkClient(client)).toEqual([]);
    const back = Object.fromEntries(
      Object.entries(wire).filter(
        ([name, value]) => value && !['client_secret', 'backchannel_logout_session_required'].includes(name),
      ),
    );
    expect(toRfc7591({ ...client, clientId: 'web', firstParty: true, clientSecretHash: 'x' })).toEqual(back);
  });

  it('what they give can be created', async () => {
    const host = makeHost({ store: 'memory', mount: 'root' }, { clients: [] });
    const { client } = await host.oauth.clients.create(fromRfc7591(wire));
    expect(toRfc7591(client)).toMatchObject({
      client_id: 'web',
      client_id_issued_at: client.clientIdIssuedAt,
    });
    const response = await authorize(host, authorizationForm('web', pkce(), { scope: 'openid' }));
    expect(response.status).toBe(200);
    expect(response.text).toContain('Web');
  });
});
