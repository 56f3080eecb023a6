import { Writable } from 'node:stream';
import { inspect } from 'node:util';

import express from 'express';
import Redis from 'ioredis';
import { pino } from 'pino';
import request from 'supertest';

import {
  createOAuthRouter,
  createTokenVerifier,
  memoryAdapter,
  OAuthConfigurationError,
  redisAdapter,
  type Logger,
  type OAuthRouterOptions,
} from 'express-oauth-router';

import {
  answerOf,
  authorizationForm,
  authorize,
  CLIENTS,
  getTokens,
  makeHost,
  pkce,
  post,
  refresh,
  VARIANTS,
  type Host,
} from './support/host';
import { startRedis } from './support/redis-server';

const MEMORY = { store: 'memory', mount: 'root' } as const;
const minimal: OAuthRouterOptions = {
  issuer: 'http://localhost:3000/oauth',
  authenticate: () => undefined,
  loginUrl: '/login',
};

describe('logs', () => {
  /** Runs with another NODE_ENV: under `test` nothing is written. */
  async function as(environment: string, run: () => Promise<unknown>): Promise<string[]> {
    const { NODE_ENV } = process.env;
    const written = jest.spyOn(console, 'error').mockReturnValue(undefined);
    process.env.NODE_ENV = environment;
    try {
      await run();
      return written.mock.calls.map(([text]) => String(text));
    } finally {
      process.env.NODE_ENV = NODE_ENV;
      written.mockRestore();
    }
  }

  const mistakes: [string, Partial<OAuthRouterOptions>, RegExp][] = [
    [
      'a router before the session middleware',
      { authenticate: (req) => (req as unknown as { session: { user: never } }).session.user },
      /server\.failed \(authorize\).*\nTypeError: Cannot read properties of undefined \(reading 'user'\)/,
    ],
    [
      'a user without an id',
      { authenticate: () => ({ name: 'Alice' }) as never },
      /server\.failed.*\nTypeError: the id of a user/,
    ],
    [
      'a client that is not valid',
      { adapter: { ...memoryAdapter(), getClient: () => ({ clientId: 'row', scope: 'a,b"' }) } },
      /server\.failed.*\nError: getClient\(\) returned an invalid client/,
    ],
  ];

  it.each(mistakes)('in development: %s is shown with its stack', async (_what, options, expected) => {
    const written = await as('development', async () => {
      const app = express().use(
        '/oauth',
        createOAuthRouter({ ...minimal, clients: [CLIENTS.web], ...options }),
      );
      const form = { ...authorizationForm('web', pkce()), ...(options.adapter && { client_id: 'row' }) };
      await request(app).get('/oauth/authorize').query(form);
    });
    expect(written.join('\n')).toMatch(expected);
    expect(written.join('\n')).toMatch(/\n\s+at /);
  });

  it('in development, refusals are shown with the reason that the client is not told', async () => {
    const send = async (): Promise<void> => {
      const app = express().use('/oauth', createOAuthRouter({ ...minimal, clients: [CLIENTS.web] }));
      await request(app)
        .post('/oauth/token')
        .auth('web', 'web-secret')
        .type('form')
        .send('grant_type=refresh_token&refresh_token=x');
    };
    const line =
      /^express-oauth-router: request\.refused \(token\) client web invalid_grant: .* \[unknown\]$/;
    expect(await as('development', send)).toEqual([expect.stringMatching(line)]);
    expect(await as('test', send)).toEqual([]);
  });

  it('an exception that cannot be converted to a string is a failure like any other', async () => {
    const written = await as('development', async () => {
      const authenticate = (): never => {
        throw Object.create(null) as Error;
      };
      const oauth = createOAuthRouter({ ...minimal, clients: [CLIENTS.web], authenticate });
      const form = authorizationForm('web', pkce());
      const { status } = await request(express().use('/oauth', oauth)).get('/oauth/authorize').query(form);
      expect(status).toBe(302);
    });
    expect(written).toContainEqual(expect.stringMatching(/server\.failed \(authorize\)\nobject$/));
  });

  it('`logger: false` writes nothing, and a listener replaces the writing', async () => {
    const written = await as('development', async () => {
      for (const listen of [false, true]) {
        const oauth = createOAuthRouter({ ...minimal, ...(!listen && { logger: false }) });
        if (listen) oauth.events.onAny(() => undefined);
        await request(express().use('/oauth', oauth)).post('/oauth/token').send({});
      }
    });
    expect(written).toEqual([]);
  });

  it('pino gets every event as it is, with the stack of failures', async () => {
    const lines: Record<string, unknown>[] = [];
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
        done();
      },
    });
    const host = makeHost(MEMORY, {
      logger: pino({ level: 'debug' }, stream),
      loadUser: () => Promise.reject(new Error('down')),
    });
    await post(host, '/token', 'machine', { grant_type: 'client_credentials' });
    await post(host, '/token', 'machine', { grant_type: 'password' });
    await expect(getTokens(host)).rejects.toThrow();
    expect(lines.map(({ level, event }) => [level, event])).toEqual([
      [20, 'token.issued'],
      [30, 'request.refused'],
      [20, 'authorization_code.issued'],
      [50, 'server.failed'],
      [30, 'request.refused'],
    ]);
    expect(lines[3]).toMatchObject({
      msg: 'server.failed (loadUser)',
      err: { message: 'down', stack: expect.stringContaining('at ') as string },
    });
    expect(lines[1]).toMatchObject({ error: 'unsupported_grant_type' });
  });

  it('console is a logger, and a logger that throws changes nothing', async () => {
    const [warned, informed] = [jest.spyOn(console, 'warn'), jest.spyOn(console, 'info')];
    for (const spy of [warned, informed]) spy.mockReturnValue(undefined);
    const host = makeHost(MEMORY, { logger: console });
    await post(host, '/token', undefined, {
      grant_type: 'client_credentials',
      client_id: 'web',
      client_secret: 'x',
    });
    expect(warned.mock.calls[0]).toEqual([
      expect.objectContaining({ event: 'client_authentication.failed', clientId: 'web' }),
      expect.stringMatching(/^client_authentication\.failed client web \[wrong credentials/),
    ]);
    warned.mockRestore();
    informed.mockRestore();
    const fail = (): never => {
      throw new Error('the disk is full');
    };
    const reject = (): Promise<never> => Promise.reject(new Error('the log service is down'));
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    for (const write of [fail, reject]) {
      // An async function is a function that returns nothing, for TypeScript.
      const broken: object = { error: write, warn: write, info: write, debug: write };
      expect(await getTokens(makeHost(MEMORY, { logger: broken as Logger }))).toHaveProperty('access_token');
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(unhandled).not.toHaveBeenCalled();
    process.off('unhandledRejection', unhandled);
    expect(() => createOAuthRouter({ ...minimal, logger: { log: fail } as never })).toThrow(
      OAuthConfigurationError,
    );
    expect(() => createOAuthRouter({ ...minimal, logger: { log: fail } as never })).toThrow(
      /"logger" lacks error, warn/,
    );
    expect(() =>
      createTokenVerifier({ issuer: 'https://a.example', audience: 'x', logger: true as never }),
    ).toThrow(/"logger" lacks error/);
  });

  it('onAny hears every event, until offAny', async () => {
    const host = makeHost(MEMORY);
    const heard: string[] = [];
    const listener = (name: string): never => {
      heard.push(name);
      throw new Error('a listener cannot change the response');
    };
    host.oauth.events.onAny(listener);
    await getTokens(host);
    expect(heard).toEqual(['authorization_code.issued', 'token.issued']);
    host.oauth.events.offAny(listener);
    await getTokens(host);
    expect(heard).toHaveLength(2);
  });

  it('a mount at another path than the issuer’s is said once', async () => {
    for (const [issuer, mount, expected] of [
      [
        'http://localhost:3000/oauth',
        '/api/oauth',
        [/mounted at \/api\/oauth, but the path of the issuer is \/oauth/],
      ],
      ['http://localhost:3000', '/oauth', [/mounted at \/oauth, but the path of the issuer is \//]],
      ['http://localhost:3000/oauth', '/', [/mounted at \/, but the path of the issuer is \/oauth/]],
      ['http://localhost:3000/oauth', '/oauth', []],
      ['http://localhost:3000/OAuth', '/oauth', []],
      ['http://localhost:3000', '/', []],
    ] as const) {
      const said: string[] = [];
      const logger = {
        ...console,
        warn: (_facts: object, message: string) => said.push(message),
        info: () => undefined,
      };
      const app = express().use(mount, createOAuthRouter({ ...minimal, issuer, logger }));
      for (let visit = 0; visit < 3; visit++) await request(app).get(`${mount === '/' ? '' : mount}/jwks`);
      expect(said).toEqual(expected.map((text) => expect.stringMatching(text) as string));
    }
  });
});

describe.each(VARIANTS)('what events contain, on $store at the $mount', (variant) => {
  let host: Host;
  beforeEach(() => {
    host = makeHost(variant);
  });
  // eslint-disable-next-line no-control-regex -- it looks for them
  const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u202e]/;
  const textsOf = (value: unknown): string[] =>
    typeof value === 'string'
      ? [value]
      : typeof value === 'object' && value !== null && !(value instanceof Error)
        ? Object.values(value).flatMap(textsOf)
        : [];

  it('no line break of a stranger reaches them', async () => {
    const evil = 'evil\n2026-01-01 INFO all is well\u001b[31m';
    const basic = `Basic ${Buffer.from(`${encodeURIComponent(evil)}:x`).toString('base64')}`;
    const raw = `Basic ${Buffer.from(`${evil}:x`).toString('base64')}`;
    for (const authorization of [basic, raw]) {
      await request(host.app)
        .post(`${host.base}/token`)
        .set('Authorization', authorization)
        .type('form')
        .send('grant_type=client_credentials');
    }
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const assertion = `${part({ alg: 'ES256' })}.${part({ iss: evil, sub: evil, aud: evil })}.AAAA`;
    await post(host, '/token', undefined, {
      grant_type: 'client_credentials',
      client_assertion: assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    });
    await authorize(host, { ...authorizationForm('web', pkce()), client_id: evil });
    await authorize(host, { ...authorizationForm('web', pkce()), redirect_uri: evil });
    await authorize(host, {
      ...authorizationForm('web', pkce()),
      redirect_uri: 'https://a.example/\u202etxt\u2028[forged]',
    });
    expect(host.events.length).toBeGreaterThanOrEqual(9);
    for (const text of textsOf(host.events)) expect(text).not.toMatch(CONTROL);
    for (const { event } of host.events.slice(0, 6)) expect(event.clientId).toBeUndefined();
  });

  it('a repeat within the leeway is an event of its own: a thief follows each rotation', async () => {
    const tokens = await getTokens(host);
    const { body } = await refresh(host, 'web', tokens.refresh_token);
    expect(host.eventNames()).not.toContain('refresh_token.repeated');
    await refresh(host, 'web', tokens.refresh_token);
    expect(host.events.find(({ name }) => name === 'refresh_token.repeated')!.event).toMatchObject({
      clientId: 'web',
      userId: 'alice',
      presentedGeneration: 1,
      generation: 2,
    });
    expect((await refresh(host, 'web', (body as { refresh_token: string }).refresh_token)).status).toBe(200);
  });

  it('a client that proves itself by the wrong method is told the right one, and nobody else is', async () => {
    const send = async (form: Record<string, string>, basic?: [string, string]): Promise<unknown> => {
      const test = request(host.app).post(`${host.base}/token`).type('form');
      if (basic) void test.auth(...basic);
      return (await test.send({ grant_type: 'client_credentials', ...form })).body.error_description;
    };
    expect(await send({}, ['post', 'post-secret'])).toBe(
      'The client is registered for client_secret_post, and authenticated by client_secret_basic',
    );
    expect(await send({}, ['post', 'wrong'])).toBe('Client authentication failed');
    expect(await send({ client_id: 'post' })).toBe('Client authentication failed');
    expect(await send({ client_id: 'nobody', client_secret: 'x' })).toBe('Client authentication failed');
  });

  it('in development the page shows the redirect URI beside those that are registered', async () => {
    const form = authorizationForm('web', pkce(), { redirect_uri: 'https://app.example.com/callback/' });
    const { text, status } = await authorize(host, form).set('Accept', 'text/html');
    expect(status).toBe(400);
    expect(text).toContain(
      'https://app.example.com/callback/ came, registered are https://app.example.com/callback',
    );
  });
});

describe('a store that fails', () => {
  it('tells the operator why, and nothing of the request', async () => {
    const server = await startRedis();
    const redis = new Redis(server.url, { maxRetriesPerRequest: 0, retryStrategy: null });
    const adapter = redisAdapter(redis, { prefix: 'logs:' });
    const host = makeHost(MEMORY, { adapter, clients: [{ ...CLIENTS.web, scope: 'openid profile' }] });
    const tokens = await getTokens(host);
    const secret = 'a login hint, a state or an ID token';
    // Read-only: every command that writes is refused, with the command in the exception.
    await redis.call('REPLICAOF', '127.0.0.1', '1');
    const failures: unknown[] = [];
    const consent = { userId: secret, clientId: 'x', scope: [], resources: [], grantedAt: 1 };
    for (const write of [
      () => adapter.put('key', secret, 60),
      () => adapter.setOnce(secret, 60),
      () => adapter.saveConsent(consent),
    ]) {
      try {
        await write();
      } catch (thrown) {
        failures.push(thrown);
      }
    }
    expect(failures).toHaveLength(3);
    host.user = undefined;
    const parked = authorizationForm('web', pkce(), { login_hint: secret, state: secret.repeat(80) });
    expect((await authorize(host, parked)).headers.location).toMatch(/error=temporarily_unavailable/);
    await refresh(host, 'web', tokens.refresh_token);
    await post(host, '/revoke', 'web', { token: tokens.access_token });
    const failed = host.events.filter(({ name }) => name === 'store.failed');
    expect(failed.map(({ event }) => event.operation)).toEqual(
      expect.arrayContaining(['put', 'advanceGrant']),
    );
    for (const { event } of failed) {
      expect(event.cause).toMatchObject({ message: expect.stringContaining('READONLY') as string });
      expect(Object.keys(event.cause as object)).not.toContain('command');
    }
    const all = inspect([failures, host.events], { depth: 10, showHidden: true });
    expect(all).not.toContain(secret);
    expect(all).not.toContain('codeChallenge');
    redis.disconnect();
    await server.stop();
  }, 30_000);

  it('an exception of any driver is reduced to what it says about itself', async () => {
    const thrown = Object.assign(new Error('null value in column "x" violates not-null constraint'), {
      code: '23502',
      detail: 'Failing row contains (a secret).',
      parameters: ['a secret'],
      cause: Object.assign(new Error('inner'), { parameters: ['a secret'] }),
    });
    const host = makeHost(MEMORY, {
      adapter: { ...memoryAdapter(), saveGrant: () => Promise.reject(thrown) },
    });
    expect(answerOf(await authorize(host, authorizationForm('web', pkce())))).toMatchObject({
      error: 'temporarily_unavailable',
    });
    const { cause } = host.events.find(({ name }) => name === 'store.failed')!.event as {
      cause: Error & { code: string };
    };
    expect(cause).toMatchObject({ message: thrown.message, code: '23502', stack: thrown.stack });
    expect((cause.cause as Error).message).toBe('inner');
    expect(inspect(host.events, { depth: 10 })).not.toContain('a secret');
  });

  it('the message of a query builder, which repeats the values, is left out', async () => {
    const inner = Object.assign(new Error('the disk is full'), { code: '53100' });
    for (const thrown of [
      (values: string) => new Error(`Failed query: INSERT …\nparams: ${values}`, { cause: inner }),
      (values: string) => Object.assign(inner, { stack: `${inner.stack} params: ${values}` }),
      (values: string) => `no error, but a text: ${values}`,
    ]) {
      const refuse = (grant: object): never => {
        throw thrown(Object.values(grant).join()) as Error;
      };
      const host = makeHost(MEMORY, { adapter: { ...memoryAdapter(), saveGrant: refuse } });
      host.user = { id: 'a user with a long id' };
      await authorize(host, authorizationForm('web', pkce(), { nonce: 'the nonce of the request' }));
      expect(host.eventNames()).toContain('store.failed');
      const told = inspect(host.events, { depth: 10 }).replaceAll(/userId: '[^']*'/g, '');
      expect(told).not.toContain('a user with a long id');
      expect(told).not.toContain('the nonce of the request');
      if (typeof thrown('') === 'object') expect(told).toContain('the disk is full');
    }
  });
});
