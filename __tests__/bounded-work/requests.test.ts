import crypto, { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import v8 from 'node:v8';
import vm from 'node:vm';

import Redis from 'ioredis';
import request from 'supertest';

import {
  createTokenVerifier,
  hashClientSecret,
  OAuthError,
  redisAdapter,
  type OAuthErrorOptions,
} from 'express-oauth-router';
import express from 'express';

import { createOutbound } from '../../lib/http/outbound';
import {
  authorizationForm,
  authorize,
  CALLBACK,
  CLIENTS,
  getTokens,
  listen,
  makeHost,
  ORDERS,
  pkce,
  post,
  STORES,
  VARIANTS,
  type Host,
} from '../support/host';
import { clientKey } from '../support/jose';

const MEMORY = { store: 'memory', mount: 'root' } as const;

/** Requests a token with a secret, and returns the status. */
async function sendSecret(
  origin: string,
  clientId: string,
  clientSecret: string,
  headers: Record<string, string> = {},
): Promise<number> {
  const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret };
  // By its address: a look-up of the name would wait for the threads that scrypt uses.
  const { status } = await fetch(`${origin.replace('localhost', '127.0.0.1')}/token`, {
    method: 'POST',
    headers,
    body: new URLSearchParams(form),
  });
  return status;
}

describe('work that strangers cause is bounded', () => {
  it.each(['/token', '/introspect', '/revoke', '/par'])(
    'POST %s with blanks as credentials',
    async (path) => {
      const host = makeHost(MEMORY);
      const send = (authorization: string): Promise<request.Response> =>
        request(host.app)
          .post(path)
          .set('Authorization', authorization)
          .type('form')
          .send('token=x&grant_type=client_credentials');
      await send('Basic x');
      // Microseconds: the whole request, with its connection. Backtracking took 400 ms and more, each time.
      const cost = async (): Promise<number> => {
        const before = process.cpuUsage();
        const { status } = await send(`Basic${' '.repeat(15_800)}!`);
        const { user, system } = process.cpuUsage(before);
        expect(status).toBeGreaterThanOrEqual(400);
        return user + system;
      };
      // The collector may be at work in any one of them.
      const costs = [await cost(), await cost(), await cost()];
      expect(Math.min(...costs)).toBeLessThan(80_000);
    },
  );

  it('a body of single bytes costs no more memory than its length', async () => {
    v8.setFlagsFromString('--expose-gc');
    const gc = vm.runInNewContext('gc') as () => void;
    const heap = (): number => {
      gc();
      const { heapUsed, external, arrayBuffers } = process.memoryUsage();
      return heapUsed + external + arrayBuffers;
    };
    const { server, close } = await listen(makeHost(MEMORY).app);
    const { port } = server.address() as AddressInfo;
    let received = 0;
    server.on('connection', (socket: Socket) => socket.on('data', ({ length }) => (received += length)));
    const chunks = '1\r\na\r\n'.repeat(65_000);
    const before = heap();
    const sockets = Array.from({ length: 10 }, () => connect(port, '127.0.0.1'));
    for (const socket of sockets) {
      socket.write(
        'POST /token HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n' +
          `Content-Type: application/x-www-form-urlencoded\r\n\r\n${chunks}`,
      );
    }
    while (received < 10 * chunks.length) await sleep(20);
    // 64 KiB each, twice while a buffer grows. A buffer for each chunk took 12 MiB for each connection.
    expect((heap() - before) / sockets.length / 2 ** 20).toBeLessThan(1.5);
    sockets.forEach((socket) => socket.destroy());
    await close();
  }, 60_000);

  it('one user’s many grants: a part of them is looked at', async () => {
    const redis = new Redis(process.env.REDIS_URL!);
    const prefix = `test:${randomUUID()}:`;
    const adapter = redisAdapter(redis, { prefix });
    const index = `${prefix}user:alice`;
    const old = Date.now() - 3_600_000;
    const dead = Array.from({ length: 7_990 }, () => [old, randomBytes(16).toString('base64url')]);
    await redis.zadd(index, ...dead.flat());
    const reads = jest.spyOn(redis as unknown as { oauthGetGrant: () => unknown }, 'oauthGetGrant');
    const save = (): unknown =>
      adapter.saveGrant({
        id: randomBytes(16).toString('base64url'),
        generation: 0,
        userId: 'alice',
        clientId: 'web',
        expiresAt: Date.now() + 60_000,
      });
    for (let saved = 0; saved < 32; saved++) await save();
    expect(reads.mock.calls.length).toBeGreaterThan(0);
    expect(reads.mock.calls.length).toBeLessThanOrEqual(2 * 64);
    // More is removed than is added.
    for (let saved = 0; saved < 200; saved++) await save();
    expect(await redis.zcard(index)).toBeLessThan(7_990 - 200);
    // None of those that exist is lost.
    expect(await adapter.listGrants('alice')).toHaveLength(232);
    expect(await redis.zcard(index)).toBe(232);
    redis.disconnect();
  });

  it.each(STORES)('one user’s many grants are ended a part at a time, on $store', async (variant) => {
    const { adapter } = makeHost(variant);
    let running = 0;
    let most = 0;
    const host = makeHost(variant, {
      adapter: {
        ...adapter,
        revokeGrant: async (id) => {
          most = Math.max(most, ++running);
          const ended = await adapter.revokeGrant(id);
          await new Promise((resolve) => setImmediate(resolve));
          running--;
          return ended;
        },
      },
    });
    await getTokens(host);
    const grant = (await host.adapter.listGrants!('alice'))[0]!;
    for (let copy = 0; copy < 350; copy++)
      await host.adapter.saveGrant({ ...grant, id: randomBytes(16).toString('base64url') });
    expect(await host.oauth.revokeGrants({ userId: 'alice' })).toBe(351);
    expect(most).toBeLessThanOrEqual(100);
  });

  it('guesses at a secret do not shut its owner out, right after a start', async () => {
    const host = makeHost(MEMORY);
    const grantTypes = ['client_credentials'];
    const clientSecretHash = await hashClientSecret('correct horse');
    await host.adapter.saveClient!({ clientId: 'attacked', clientSecretHash, grantTypes });
    const { origin, close } = await listen(host.app);
    const send = (clientSecret: string): Promise<number> => sendSecret(origin, 'attacked', clientSecret);
    let isOver = false;
    let compared = 0;
    const guesses = Array.from({ length: 60 }, async () => {
      while (!isOver) {
        const status = await send(randomUUID());
        expect([401, 503]).toContain(status);
        // One that finds the queue full costs nothing, and nobody waits for it.
        if (status === 401) compared++;
      }
    });
    await sleep(500);
    const before = compared;
    expect(await send('correct horse')).toBe(200);
    // The owner did not wait for all the others: in the order of their arrival it would be nearly sixty.
    expect(compared - before).toBeLessThan(45);
    // A client that keeps sending an old secret is refused without any work.
    await send('an old secret');
    const runs = compared;
    expect(await send('an old secret')).toBe(401);
    expect(compared - runs).toBeLessThan(5);
    isOver = true;
    await Promise.all(guesses);
    await close();
  }, 180_000);

  it('an import of many secrets holds up neither a client that has authenticated before nor one that is created', async () => {
    const host = makeHost(MEMORY);
    const clientSecretHash = await Promise.all([hashClientSecret('old'), hashClientSecret('new')]);
    const grantTypes = ['client_credentials'];
    await host.adapter.saveClient!({ clientId: 'busy', clientSecretHash, grantTypes });
    const { origin, close } = await listen(host.app);
    const send = (clientSecret: string): Promise<number> => sendSecret(origin, 'busy', clientSecret);
    expect(await send('old')).toBe(200);

    let hashed = 0;
    const secrets = Array.from({ length: 30 }, (_, number) => `the secret of client ${number}`);
    const hashes = secrets.map(async (secret) => {
      const hash = await hashClientSecret(secret);
      hashed++;
      return hash;
    });
    // It is compared with both hashes.
    expect(await send('new')).toBe(200);
    expect(hashed).toBeLessThan(10);
    await hashClientSecret('of one that is created meanwhile');
    expect(hashed).toBeLessThan(25);
    expect(new Set(await Promise.all(hashes)).size).toBe(30);
    await close();
  }, 180_000);

  it('an import may be larger than what may wait of clients', async () => {
    const { scrypt } = crypto;
    // The same function with a low cost: only the number counts here.
    const cheap = jest.spyOn(crypto, 'scrypt').mockImplementation((secret, salt, length, _options, done) => {
      scrypt(secret, salt, length, { N: 2, r: 1, p: 1 }, done);
    });
    const secrets = Array.from({ length: 1500 }, (_, number) => `the secret of client ${number}`);
    const hashes = await Promise.allSettled([undefined as never, ...secrets].map(hashClientSecret));
    cheap.mockRestore();
    expect(hashes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  });

  it('guesses at a foreign hash, each from another network, do not hold up the new hash of its owner', async () => {
    let [compared, isOver] = [0, false];
    const host = makeHost(MEMORY, {
      verifyClientSecret: async (clientSecret) => {
        await sleep(5);
        compared++;
        return clientSecret === 'correct horse';
      },
    });
    host.app.set('trust proxy', true);
    const grantTypes = ['client_credentials'];
    await host.adapter.saveClient!({ clientId: 'imported', clientSecretHash: 'foreign', grantTypes });
    const { origin, close } = await listen(host.app);
    let networks = 0;
    const send = (clientSecret: string): Promise<number> => {
      networks++;
      const network = `10.${networks >> 8}.${networks % 256}.1`;
      return sendSecret(origin, 'imported', clientSecret, { 'X-Forwarded-For': network });
    };
    const guesses = Array.from({ length: 30 }, async () => {
      while (!isOver && compared < 5000) await send(randomUUID());
    });
    await sleep(300);
    const before = compared;
    expect(await send('correct horse')).toBe(200);
    isOver = true;
    expect(compared - before).toBeLessThan(1000);
    await Promise.all(guesses);
    const stored = await host.adapter.getClient('imported');
    expect(stored?.clientSecretHash).toEqual([expect.stringMatching(/^scrypt:/)]);
    await close();
  }, 60_000);

  describe('keys of a client', () => {
    const stored = {
      clientId: 'keyed',
      redirectUris: [CALLBACK],
      tokenEndpointAuthMethod: 'private_key_jwt',
    } as const;
    const form = (): Record<string, string> => ({ ...authorizationForm('web', pkce()), client_id: 'keyed' });
    let imports: jest.SpyInstance;
    beforeEach(() => {
      imports = jest.spyOn(crypto, 'createPublicKey');
    });
    afterEach(() => imports.mockRestore());

    it.each(STORES)('are imported once, not for each request, on $store', async (variant) => {
      const host = makeHost(variant);
      host.user = undefined;
      const keys = await Promise.all(
        Array.from({ length: 20 }, async () => (await clientKey('ES512')).publicJwk),
      );
      await host.adapter.saveClient!({ ...stored, jwks: { keys } });
      expect((await authorize(host, form())).status).toBe(302);
      imports.mockClear();
      for (let visit = 0; visit < 5; visit++) expect((await authorize(host, form())).status).toBe(302);
      expect(imports).not.toHaveBeenCalled();
      // A change counts at once.
      await host.adapter.saveClient!({
        ...stored,
        jwks: { keys },
        redirectUris: ['https://new.example.com/cb'],
      });
      expect((await authorize(host, form())).status).toBe(400);
    });

    it('are at most 20: none of a thousand is imported', async () => {
      const host = makeHost(MEMORY);
      const { publicJwk } = await clientKey('ES512');
      const keys = Array.from({ length: 1000 }, () => publicJwk);
      await host.adapter.saveClient!({ ...stored, jwks: { keys } });
      imports.mockClear();
      const { status } = await authorize(host, form());
      expect(status).toBe(500);
      expect(imports).not.toHaveBeenCalled();
      const { cause } = host.events.find(({ name }) => name === 'server.failed')!.event;
      expect((cause as Error).message).toMatch(/keys.*must contain less than or equal to 20/);
    });
  });

  it('URLs in the metadata of strangers cause a few requests at a time to another server', async () => {
    let [running, most, all] = [0, 0, 0];
    const victim = createServer((_req, res) => {
      all++;
      most = Math.max(most, ++running);
      setTimeout(() => {
        running--;
        res.end('[]');
      }, 5);
    });
    await new Promise<void>((resolve) => victim.listen(0, '127.0.0.1', resolve));
    const { port } = victim.address() as AddressInfo;
    const fetch = createOutbound({ allowPrivateAddresses: true, concurrency: { all: 50, ofOrigin: 10 } });
    const url = `http://localhost:${port}/jwks`;
    await Promise.all(Array.from({ length: 150 }, () => fetch({ method: 'GET', url, headers: {} })));
    expect([all, most <= 10]).toEqual([150, true]);
    await new Promise((resolve) => victim.close(resolve));
  });

  it('texts of strangers do not keep a verifier from asking about tokens of the server', async () => {
    const shell = express();
    const { origin, close } = await listen(shell);
    const issuer = `${origin}/oauth`;
    const host = makeHost(MEMORY, { issuer, clients: [{ ...CLIENTS.machine, scope: '' }, CLIENTS.api] });
    let release = (): void => undefined;
    let released = Promise.resolve();
    let asked = 0;
    shell.use('/oauth/introspect', (_req, _res, next) => {
      asked++;
      void released.then(() => next());
    });
    shell.use('/oauth', host.oauth);
    host.app = shell;
    host.base = '/oauth';
    const { requireToken } = createTokenVerifier({
      issuer,
      audience: ORDERS,
      introspection: { endpoint: `${issuer}/introspect`, clientId: 'api', clientSecret: 'api-secret' },
    });
    const api = express().get(
      '/',
      requireToken({ checkRevocation: true }),
      (_req, res) => void res.json('ok'),
    );
    const server = await listen(api);
    const call = async (token: string): Promise<number> =>
      (await fetch(server.origin, { headers: { Authorization: `Bearer ${token}` } })).status;
    const { body } = await post(host, '/token', 'machine', {
      grant_type: 'client_credentials',
      resource: ORDERS,
    });
    const { access_token: token } = body as { access_token: string };
    // The verifier has the keys of the server now.
    expect(await call(token)).toBe(200);
    released = new Promise<void>((resolve) => (release = resolve));
    asked = 0;
    const guesses = Array.from({ length: 200 }, () => call(randomBytes(150).toString('base64url')));
    // The server is asked about 50 at once. Those that do not fit into the short queue are told so, which is when it is full.
    expect(await Promise.race(guesses)).toBe(503);
    const own = call(token);
    for (let tries = 0; asked < 51 && tries < 200; tries++) await sleep(10);
    release();
    expect([asked, await own]).toEqual([51, 200]);
    expect(new Set(await Promise.all(guesses))).toEqual(new Set([401, 503]));
    await server.close();
    await close();
  }, 30_000);
});

describe.each(VARIANTS)(
  'an error of a hook that is impossible to send, on $store at the $mount',
  (variant) => {
    const errorWith = (changes: object, options?: OAuthErrorOptions): OAuthError =>
      Object.assign(new OAuthError('access_denied', 'No', options), changes);

    it('a message that is no string gives way to the code', async () => {
      const host = makeHost(variant, {
        beforeIssueToken: () => {
          throw errorWith({ message: 1 });
        },
      });
      const { status, body } = await post(host, '/token', 'machine', {
        grant_type: 'client_credentials',
      }).timeout(3000);
      expect([status, body]).toEqual([400, { error: 'access_denied', error_description: 'access_denied' }]);
    });

    it.each<[string, () => OAuthError]>([
      ['0', () => errorWith({ status: 0 })],
      ['99', () => errorWith({ status: 99 })],
      ['600', () => errorWith({}, { status: 600 })],
      ['NaN', () => errorWith({ status: NaN })],
      ['a text', () => errorWith({ status: 'no' })],
      ['a challenge with a line break', () => errorWith({ challenge: 'Basic\r\nSet-Cookie: x=y' })],
      ['members that cannot be written', () => errorWith({ members: { big: 1n } })],
      [
        'a code that cannot be read',
        () => {
          const get = (): never => {
            throw new Error('no code');
          };
          return Object.defineProperty(errorWith({}), 'code', { get });
        },
      ],
    ])('%s: 500 at once', async (_what, create) => {
      const host: Host = makeHost(variant, {
        beforeIssueToken: () => {
          throw create();
        },
      });
      const response = await post(host, '/token', 'machine', { grant_type: 'client_credentials' }).timeout(
        3000,
      );
      expect([response.status, response.body]).toMatchObject([500, { error: 'server_error' }]);
      const page = makeHost(variant, {
        authenticate: () => {
          throw create();
        },
        clients: [{ ...CLIENTS.web, redirectUris: [CALLBACK] }],
        rateLimit: () => {
          throw create();
        },
      });
      const html = await request(page.app)
        .get(`${page.base}/authorize`)
        .set('Accept', 'text/html')
        .timeout(3000);
      expect(html.status).toBe(
        _what === 'members that cannot be written' || _what.startsWith('a challenge') ? 400 : 500,
      );
    });
  },
);
