import { once } from 'node:events';
import net from 'node:net';
import { gzipSync } from 'node:zlib';

import express from 'express';
import request from 'supertest';

import { OAuthError } from 'express-oauth-router';

import {
  authorizationForm,
  CLIENTS,
  getCode,
  listen,
  makeHost,
  pkce,
  redeem,
  VARIANTS,
  type Host,
} from '../support/host';

const GRANT = 'grant_type=client_credentials';
const ENDPOINTS = ['/token', '/revoke', '/introspect'];

describe.each(VARIANTS)('parameters on $store at the $mount', (variant) => {
  let host: Host;
  let getClient: jest.Mock;
  beforeEach(() => {
    getClient = jest.fn();
    const { adapter } = makeHost(variant);
    host = makeHost(variant, { multipleAudiences: true, adapter: { ...adapter, getClient } });
  });

  const send = (path: string, type: string, body: string | Buffer): request.Test =>
    request(host.app)
      .post(`${host.base}${path}`)
      .auth('machine', 'machine-secret')
      .set('Content-Type', type)
      .send(body);
  const form = (path: string, body: string): request.Test =>
    send(path, 'application/x-www-form-urlencoded', body);

  describe.each(ENDPOINTS)('of %s', (path) => {
    const whole = path === '/token' ? GRANT : 'token=x';

    it.each([
      'scope[a]=b',
      'scope[]=a',
      'client_id[toString]=1',
      'client_id[]=machine',
      'client_id[__proto__][x]=1',
      'scope=a&scope=b',
      'client_id=machine&client_id=machine',
      `state=${'x'.repeat(9000)}`,
      'scope=a%00b',
      'scope=a%0Ab',
      'unknown[x]=1',
    ])('%s is invalid_request, and no adapter sees it', async (part) => {
      const response = await form(path, `${whole}&${part}`);
      expect([response.status, response.body.error]).toEqual([400, 'invalid_request']);
      expect(getClient).not.toHaveBeenCalled();
      expect((await request(host.app).get('/other')).text).toBe('the host');
    });

    it.each([
      '{"scope":{"a":1}}',
      '{"client_id":["machine"]}',
      '{"client_id":1}',
      '{"client_id":null}',
      '{"client_id":true}',
      '[]',
      '[1]',
      '"x"',
      '1',
      'null',
    ])('JSON %s is invalid_request', async (body) => {
      const response = await send(path, 'application/json', body);
      expect([response.status, response.body.error ?? 'invalid_request']).toEqual([400, 'invalid_request']);
      expect(getClient).not.toHaveBeenCalled();
    });

    it('JSON with a name twice is invalid_request, and a colon in a value is not', async () => {
      const twice = await send(path, 'application/json', '{"scope":"a","token":"x","scope":"b"}');
      if (variant.mount === 'root')
        expect([twice.status, twice.body.error]).toEqual([400, 'invalid_request']);
      const colon = JSON.stringify({
        grant_type: 'client_credentials',
        token: 'x',
        state: '"a": "b", \\"c":',
      });
      expect((await send(path, 'application/json', colon)).status).toBe(200);
    });

    it.each([
      ['none', '', undefined],
      ['text', 'text/plain', 'grant_type=client_credentials'],
      ['XML', 'application/xml', '<x/>'],
      ['a multipart form', 'multipart/form-data; boundary=x', '--x--'],
      ['JSON that is none', 'application/json', '{'],
      [
        'JSON that is called a form',
        'application/x-www-form-urlencoded',
        '{"grant_type":"client_credentials"}',
      ],
      ['a form in another charset', 'application/x-www-form-urlencoded; charset=utf-16', GRANT],
      ['a form in an unknown charset', 'application/x-www-form-urlencoded; charset=klingon', GRANT],
      ['a mebibyte', 'application/x-www-form-urlencoded', `${whole}&x=${'x'.repeat(1 << 20)}`],
      ['a mebibyte of JSON', 'application/json', JSON.stringify({ x: 'x'.repeat(1 << 20) })],
    ])('a body of %s is refused, and the process lives', async (_name, type, body) => {
      const test = request(host.app).post(`${host.base}${path}`).auth('machine', 'machine-secret');
      const response = await (type ? test.set('Content-Type', type).send(body) : test);
      // The host's own parser answers for what it cannot parse.
      expect([400, 413, 415]).toContain(response.status);
      if (variant.mount === 'root') {
        expect([response.status, response.body.error]).toEqual([400, 'invalid_request']);
        expect(response.headers['cache-control']).toBe('no-store');
      }
      expect((await request(host.app).get('/other')).text).toBe('the host');
    });

    it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'])('%s is 405', async (method) => {
      const response = await request(host.app)[method.toLowerCase() as 'get'](`${host.base}${path}`);
      expect(response.status).toBe(405);
      expect(response.headers.allow).toBe(path === '/introspect' ? 'POST' : 'POST, OPTIONS');
    });

    it('OPTIONS issues nothing, and allows any origin where browsers may call', async () => {
      const response = await request(host.app).options(`${host.base}${path}`).set({
        Origin: 'https://spa.example.com',
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'dpop',
      });
      if (path === '/introspect') {
        expect(response.status).toBe(405);
        expect(response.headers).not.toHaveProperty('access-control-allow-origin');
      } else {
        expect(response.status).toBe(204);
        expect(response.headers['access-control-allow-origin']).toBe('*');
        expect(response.headers).not.toHaveProperty('access-control-allow-credentials');
      }
    });

    it.each(['client_secret', 'client_assertion', 'token', 'access_token', 'refresh_token', 'code'])(
      'refuses %s in the query',
      async (name) => {
        const response = await form(`${path}?${name}=x`, whole);
        expect([response.status, response.body.error]).toEqual([400, 'invalid_request']);
      },
    );
  });

  it('takes nothing from the query', async () => {
    const response = await form(`/token?${GRANT}`, 'scope=jobs:run');
    expect([response.status, response.body]).toEqual([
      400,
      { error: 'invalid_request', error_description: 'grant_type is missing' },
    ]);
  });

  it('an empty parameter counts as omitted, an unknown one is ignored', async () => {
    const response = await form('/token', `${GRANT}&scope=&client_secret=&foo=bar`);
    expect([response.status, response.body.scope]).toEqual([200, 'jobs:run jobs:read']);
  });

  it('resource may repeat, in a form and in JSON', async () => {
    const two = ['https://orders.example.com', host.issuer];
    const query = two.map((resource) => `resource=${encodeURIComponent(resource)}`).join('&');
    expect((await form('/token', `${GRANT}&${query}`)).status).toBe(200);
    const json = JSON.stringify({ grant_type: 'client_credentials', resource: two });
    expect((await send('/token', 'application/json', json)).status).toBe(200);
    const nested = JSON.stringify({ grant_type: 'client_credentials', resource: [two] });
    expect((await send('/token', 'application/json', nested)).body.error).toBe('invalid_request');
  });

  it.each(['scope[a]=b', 'client_id[toString]=1', 'client_id[]=web', 'state[]=x'])(
    '%s at authorize is an error page',
    async (part) => {
      const query = new URLSearchParams(authorizationForm('web', pkce())).toString();
      const response = await request(host.app)
        .get(`${host.base}/authorize?${query}&${part}`)
        .set('Accept', 'application/json');
      expect([response.status, response.body.error, response.headers.location]).toEqual([
        400,
        'invalid_request',
        undefined,
      ]);
    },
  );

  it.each(['client_secret', 'client_assertion', 'access_token', 'refresh_token'])(
    'refuses %s at authorize',
    async (name) => {
      const query = new URLSearchParams({ ...authorizationForm('web', pkce()), [name]: 'x' }).toString();
      const response = await request(host.app)
        .get(`${host.base}/authorize?${query}`)
        .set('Accept', 'application/json');
      expect([response.status, response.body.error]).toEqual([400, 'invalid_request']);
    },
  );
});

describe('a body on the wire', () => {
  const variant = { store: 'memory', mount: 'root' } as const;
  const head = { Authorization: `Basic ${Buffer.from('machine:machine-secret').toString('base64')}` };
  const type = 'application/x-www-form-urlencoded';

  it.each<[string, Record<string, string>, Buffer]>([
    ['that is not UTF-8', {}, Buffer.from([...Buffer.from(`${GRANT}&scope=`), 0xff, 0xfe])],
    ['that is compressed', { 'Content-Encoding': 'gzip' }, gzipSync(GRANT)],
    ['that says it is too long', {}, Buffer.alloc(70_000, 'a')],
  ])('%s is invalid_request', async (_name, headers, body) => {
    const host = makeHost(variant);
    const response = await request(host.app)
      .post('/token')
      .set({ ...head, ...headers })
      .type(type)
      .send(body);
    expect([response.status, response.body.error]).toEqual([400, 'invalid_request']);
  });

  it('that does not say how long it is, and is, is invalid_request; in small pieces it is read', async () => {
    const { origin, close } = await listen(makeHost(variant).app);
    const send = (pieces: number, piece: string): Promise<Response> => {
      let sent = 0;
      const body = new ReadableStream({
        pull: (controller) => {
          if (sent++ < pieces) controller.enqueue(Buffer.from(piece));
          else controller.close();
        },
      });
      const init = { method: 'POST', headers: { ...head, 'Content-Type': type }, body, duplex: 'half' };
      return fetch(`${origin}/token`, init);
    };
    expect((await send(200, 'a'.repeat(1000))).status).toBe(400);
    const response = await send(3, `${GRANT}&`.replace('grant_type', 'scope'));
    expect(((await response.json()) as { error_description: string }).error_description).toContain(
      'is repeated',
    );
    await close();
  });

  it('that is cut off is a refusal in the log, and the process lives', async () => {
    const host = makeHost(variant);
    const { origin, server, close } = await listen(host.app);
    const socket = net.connect(Number(new URL(origin).port), '127.0.0.1');
    socket.write(
      `POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: 100\r\n\r\ngrant`,
    );
    await once(server, 'request');
    socket.destroy();
    for (let tries = 0; tries < 100 && host.events.length === 0; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(host.eventNames()).toEqual(['request.refused']);
    expect((await fetch(`${origin}/other`)).status).toBe(200);
    await close();
  });
});

describe('a body that the host has read already', () => {
  const json = JSON.stringify({ grant_type: 'client_credentials' });

  it.each([
    [
      'as a form, simple',
      express.urlencoded({ extended: false }),
      'application/x-www-form-urlencoded',
      GRANT,
    ],
    [
      'as a form, extended',
      express.urlencoded({ extended: true }),
      'application/x-www-form-urlencoded',
      GRANT,
    ],
    ['as JSON', express.json(), 'application/json', json],
    ['as text', express.text({ type: '*/*' }), 'application/x-www-form-urlencoded', GRANT],
    ['as bytes', express.raw({ type: '*/*' }), 'application/json', json],
  ])('%s', async (_name, parser, type, body) => {
    const host = makeHost({ store: 'memory', mount: 'root' });
    const app = express().use(parser).use(host.app);
    const token = (content: string): request.Test =>
      request(app).post('/token').auth('machine', 'machine-secret').set('Content-Type', type).send(content);
    expect((await token(body)).status).toBe(200);
    if (type !== 'application/json') {
      expect((await token(`${GRANT}&scope=a&scope=b`)).body.error).toBe('invalid_request');
      expect((await token(`${GRANT}&client_id[toString]=1`)).body.error).toBe('invalid_request');
    }
  });

  it('the authorization code flow works behind parsers', async () => {
    const host = makeHost({ store: 'memory', mount: 'prefix' }, { clients: [CLIENTS.web] });
    expect((await redeem(host, 'web', await getCode(host))).status).toBe(200);
  });
});

describe('what a hook throws', () => {
  const variant = { store: 'memory', mount: 'root' } as const;

  it.each<[string, unknown]>([
    ['a member that JSON has not', new OAuthError('mfa_required', 'x', { members: { id: 1n } })],
    ['a challenge that no header takes', new OAuthError('mfa_required', 'x', { challenge: 'a\nb: c' })],
    ['nothing', undefined],
    ['a string', 'x'],
    ['an object without prototype', Object.create(null)],
  ])('%s: the client gets server_error, and the process lives', async (_name, thrown) => {
    const grants = {
      'urn:x:y': (): never => {
        throw thrown as Error;
      },
    };
    const clients = [{ ...CLIENTS.machine, grantTypes: ['urn:x:y'] }];
    const host = makeHost(variant, { grants, clients });
    const response = await request(host.app)
      .post('/token')
      .type('form')
      .auth('machine', 'machine-secret')
      .send('grant_type=urn:x:y');
    expect([response.status, response.body]).toEqual([
      500,
      expect.objectContaining({ error: 'server_error' }),
    ]);
    expect((await request(host.app).get('/other')).text).toBe('the host');
  });

  it('an error called like a function of every object has a status all the same', () => {
    expect(new OAuthError('constructor').status).toBe(400);
  });
});

describe('an adapter', () => {
  const variant = { store: 'memory', mount: 'root' } as const;

  it.each([
    [
      'throws',
      (): never => {
        throw new Error('secret of the database');
      },
      503,
      'temporarily_unavailable',
    ],
    ['rejects', () => Promise.reject(new Error('secret of the database')), 503, 'temporarily_unavailable'],
    ['throws nothing', () => Promise.reject(undefined as unknown as Error), 503, 'temporarily_unavailable'],
    ['hangs', () => new Promise<never>(() => undefined), 503, 'temporarily_unavailable'],
    ['gives a string', () => Promise.resolve('nonsense' as never), 500, 'server_error'],
    ['gives an empty client', () => Promise.resolve({} as never), 500, 'server_error'],
    [
      'gives a client of wrong types',
      () => Promise.resolve({ clientId: 'x', redirectUris: 'y' } as never),
      500,
      'server_error',
    ],
  ])('that %s is answered, and the process lives', async (_name, getClient, status, error) => {
    const { adapter } = makeHost(variant);
    const host = makeHost(variant, { adapter: { ...adapter, getClient }, storeTimeout: 0.1 });
    const response = await request(host.app).post('/token').type('form').auth('x', 'y').send(GRANT);
    expect([response.status, response.body.error]).toEqual([status, error]);
    expect(response.text).not.toContain('database');
    expect(response.headers['retry-after'] !== undefined).toBe(status === 503);
    expect(host.eventNames()).toContain(status === 503 ? 'store.failed' : 'server.failed');
    expect((await request(host.app).get('/other')).text).toBe('the host');
  });

  it.each([
    ['a string', 'nonsense'],
    ['an empty grant', {}],
    ['another grant', { id: 'x', generation: 0, clientId: 'web', expiresAt: 1 }],
  ])('that gives %s for a grant is server_error', async (_name, grant) => {
    const { adapter } = makeHost(variant);
    const host = makeHost(variant, {
      adapter: { ...adapter, getGrant: () => Promise.resolve(grant as never) },
    });
    const response = await redeem(host, 'web', await getCode(host));
    expect([response.status, response.body.error]).toEqual([500, 'server_error']);
  });

  it('may be an object of a class with private fields', async () => {
    const { adapter } = makeHost(variant);
    class Wrapped {
      readonly #inner = adapter;
      getClient = (id: string): unknown => this.#inner.getClient(id);
      saveGrant(grant: never): unknown {
        return this.#inner.saveGrant(grant);
      }
      getGrant(id: string): unknown {
        return this.#inner.getGrant(id);
      }
      advanceGrant(id: string, generation: number, next: never): unknown {
        return this.#inner.advanceGrant(id, generation, next);
      }
      revokeGrant(id: string): unknown {
        return this.#inner.revokeGrant(id);
      }
      setOnce(key: string, ttl: number): unknown {
        return this.#inner.setOnce(key, ttl);
      }
      put(key: string, value: string, ttl: number): unknown {
        return this.#inner.put(key, value, ttl);
      }
      get(key: string): unknown {
        return this.#inner.get(key);
      }
      take(key: string): unknown {
        return this.#inner.take(key);
      }
    }
    const host = makeHost(variant, { adapter: new Wrapped() as never });
    expect((await redeem(host, 'web', await getCode(host))).status).toBe(200);
  });
});
