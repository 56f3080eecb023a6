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
  authorizationForm,
  authorize,
  CALLBACK,
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
