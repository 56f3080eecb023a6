import type { LookupAddress } from 'node:dns';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

import request from 'supertest';

import { isPublicAddress, createOutbound } from '../../lib/http/outbound';
import { makeHost, type Host } from '../support/host';
import { assertion, ASSERTION_TYPE, clientKey, type ClientKey } from '../support/jose';

/** Keys at a `jwks_uri`: what is fetched, how often, and what is never connected to. */
describe('remote key sets', () => {
  let server: http.Server;
  let origin: string;
  let published: object[] = [];
  let fetches = 0;
  let answer: ((res: http.ServerResponse) => void) | undefined;
  let key: ClientKey;
  let next: ClientKey;

  beforeAll(async () => {
    [key, next] = await Promise.all([clientKey(), clientKey()]);
    server = http.createServer((_req, res) => {
      fetches++;
      if (answer) return answer(res);
      res.setHeader('Content-Type', 'application/json');
      res.end(JSON.stringify({ keys: published }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  beforeEach(() => {
    fetches = 0;
    answer = undefined;
    published = [key.publicJwk];
  });

  const hostWith = (jwksUri: string, allowPrivateAddresses = true): Host =>
    makeHost(
      { store: 'memory', mount: 'prefix' },
      {
        clients: [{ clientId: 'remote', jwksUri, grantTypes: ['client_credentials'] }],
        allowPrivateAddresses,
      },
    );

  async function statusOf(host: Host, by = key): Promise<number> {
    const signed = await assertion(by, { clientId: 'remote', issuer: host.issuer, now: host.now });
    const { status } = await request(host.app).post(`${host.base}/token`).type('form').send({
      grant_type: 'client_credentials',
      client_assertion: signed,
      client_assertion_type: ASSERTION_TYPE,
    });
    return status;
  }
  const reasonOf = (host: Host): string =>
    String(host.events.filter(({ name }) => name === 'client_authentication.failed').at(-1)?.event.reason);

  it('is fetched once for ten minutes, and again after that', async () => {
    const host = hostWith(`${origin}/jwks`);
    for (let request = 0; request < 5; request++) expect(await statusOf(host)).toBe(200);
    expect(fetches).toBe(1);
    host.pass(601);
    expect(await statusOf(host)).toBe(200);
    expect(fetches).toBe(2);
  });

  it('twenty requests at once fetch once', async () => {
    const host = hostWith(`${origin}/jwks`);
    const statuses = await Promise.all(Array.from({ length: 20 }, () => statusOf(host)));
    expect(statuses).toEqual(Array.from({ length: 20 }, () => 200));
    expect(fetches).toBe(1);
  });

  it('is fetched again for a new key id, but not for every one', async () => {
    const host = hostWith(`${origin}/jwks`);
    expect(await statusOf(host)).toBe(200);
    published = [key.publicJwk, next.publicJwk];
    // Within the cool-down.
    expect(await statusOf(host, next)).toBe(401);
    expect(fetches).toBe(1);
    host.pass(31);
    expect(await statusOf(host, next)).toBe(200);
    expect(fetches).toBe(2);
    const stranger = await clientKey();
    for (let attempt = 0; attempt < 10; attempt++) expect(await statusOf(host, stranger)).toBe(401);
    expect(fetches).toBe(2);
  });

  it('is used on while it cannot be fetched, and not forever', async () => {
    const host = hostWith(`${origin}/jwks`);
    expect(await statusOf(host)).toBe(200);
    answer = (res) => res.writeHead(500).end();
    host.pass(700);
    expect(await statusOf(host)).toBe(200);
    host.pass(86_400);
    expect(await statusOf(host)).toBe(401);
    answer = undefined;
    host.pass(31);
    expect(await statusOf(host)).toBe(200);
  });

  it('whose server hangs is used on, and nobody waits', async () => {
    const host = hostWith(`${origin}/jwks`);
    expect(await statusOf(host)).toBe(200);
    const hanging: http.ServerResponse[] = [];
    answer = (res) => void hanging.push(res);
    const until = async (count: number): Promise<void> => {
      for (let tries = 0; hanging.length < count && tries < 200; tries++)
        await new Promise((resolve) => setTimeout(resolve, 10));
    };
    // Before it is too old, and again when it is.
    host.pass(550);
    expect(await statusOf(host)).toBe(200);
    await until(1);
    hanging[0]!.destroy();
    await new Promise((resolve) => setTimeout(resolve, 500));
    host.pass(58);
    expect(await statusOf(host)).toBe(200);
    await until(2);
    expect(hanging.map(({ closed }) => closed)).toEqual([true, false]);
    hanging[1]!.end(JSON.stringify({ keys: [] }));
    for (let tries = 0; (await statusOf(host)) === 200 && tries < 100; tries++);
    // The set without the key counts as soon as it is there.
    expect(await statusOf(host)).toBe(401);
  });

  it('that fails at first is tried again after a second, and one that is there after thirty', async () => {
    const host = hostWith(`${origin}/jwks`);
    answer = (res) => res.writeHead(503).end();
    expect(await statusOf(host)).toBe(401);
    answer = undefined;
    expect(await statusOf(host)).toBe(401);
    expect(fetches).toBe(1);
    host.pass(1.1);
    expect(await statusOf(host)).toBe(200);
    host.pass(601);
    answer = (res) => res.writeHead(503).end();
    expect(await statusOf(host)).toBe(200);
    host.pass(1.1);
    expect(await statusOf(host)).toBe(200);
    expect(fetches).toBe(3);
  });

  it('of more than twenty keys is refused', async () => {
    const host = hostWith(`${origin}/jwks`);
    published = Array.from({ length: 21 }, () => key.publicJwk);
    expect(await statusOf(host)).toBe(401);
    expect(reasonOf(host)).toMatch(/more than 20 keys/);
    host.pass(2);
    published = published.slice(1);
    expect(await statusOf(host)).toBe(200);
  });

  it.each<[string, (res: http.ServerResponse) => void, RegExp]>([
    ['a redirect', (res) => res.writeHead(302, { Location: '/jwks' }).end(), /could be fetched/],
    ['an error', (res) => res.writeHead(404).end('{"keys":[]}'), /could be fetched/],
    ['no JSON', (res) => res.end('x'), /could be fetched/],
    ['JSON that is no key set', (res) => res.end('null'), /could be fetched/],
    ['a body without end', endless, /could be fetched/],
    [
      'an upgrade of the connection',
      (res) => res.socket!.write('HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
      /could be fetched/,
    ],
    ['a connection that is cut', (res) => res.destroy(), /could be fetched/],
    [
      'a key for something else',
      (res) => {
        const { publicJwk } = key;
        res.end(
          JSON.stringify({
            keys: [
              { ...publicJwk, use: 'enc' },
              { ...publicJwk, key_ops: ['encrypt'] },
            ],
          }),
        );
      },
      /no such key/,
    ],
    [
      'keys that are none',
      (res) => res.end('{"keys":[null,1,{"kty":"EC"},{"kty":"oct","k":"AAAA"}]}'),
      /no such key/,
    ],
    [
      'a private key',
      (res) => res.end(JSON.stringify({ keys: [{ ...key.privateJwk, kid: key.kid }] })),
      /no such key/,
    ],
  ])('%s gives no keys, and no redirect is followed', async (_name, respond, reason) => {
    const host = hostWith(`${origin}/jwks`);
    answer = respond;
    const start = Date.now();
    expect(await statusOf(host)).toBe(401);
    // None of them needs the time limit.
    expect(Date.now() - start).toBeLessThan(3000);
    expect(reasonOf(host)).toMatch(reason);
    expect(fetches).toBe(1);
  });

  it('one that does not answer is given up', async () => {
    const host = hostWith(`${origin}/jwks`);
    answer = () => undefined;
    const start = Date.now();
    expect(await statusOf(host)).toBe(401);
    expect(Date.now() - start).toBeLessThan(8000);
  });

  it('one that trickles is given up', async () => {
    answer = (res) => {
      const timer = setInterval(() => res.write(' '), 200);
      res.on('close', () => clearInterval(timer));
    };
    await expect(
      createOutbound({ allowPrivateAddresses: true })({ method: 'GET', url: origin, headers: {} }),
    ).rejects.toThrow();
  });

  it('is not sent to loopback, private or link-local addresses, however they are written', async () => {
    const send = createOutbound({ allowPrivateAddresses: false });
    const { port } = new URL(origin);
    for (const name of [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f.0.0.1',
      '0.0.0.0',
      '10.0.0.1',
      '172.16.0.1',
      '192.168.1.1',
      '169.254.169.254',
      '100.64.0.1',
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::127.0.0.1]',
      '[64:ff9b::7f00:1]',
      '[2002:7f00:1::]',
      '[fe80::1]',
      '[fd00::1]',
      'localhost',
      'localhost.',
    ]) {
      const url = `https://${name}:${port}/`;
      await expect(send({ method: 'GET', url, headers: {} })).rejects.toThrow(
        /(no|not a) public address|ENOTFOUND/,
      );
    }
    await expect(send({ method: 'GET', url: 'http://example.com/', headers: {} })).rejects.toThrow(
      'only https',
    );
    expect(fetches).toBe(0);
  });

  it('a client’s jwks_uri on loopback is refused, and the operator is told why', async () => {
    const { port } = new URL(origin);
    const host = hostWith(`https://localhost:${port}/jwks`, false);
    expect(await statusOf(host)).toBe(401);
    expect(reasonOf(host)).toContain('no key set could be fetched');
    expect(fetches).toBe(0);
  });

  it('a name that points elsewhere when the connection is made is refused then', async () => {
    // The first answer is what a check before the connection would see.
    const answers = ['93.184.216.34', '127.0.0.1'];
    let asked = 0;
    const lookup = ((
      _name: string,
      _options: object,
      callback: (error: null, addresses: LookupAddress[]) => void,
    ) => {
      const address = answers[Math.min(asked++, 1)]!;
      callback(null, [{ address, family: 4 }]);
    }) as never;
    const send = createOutbound({ allowPrivateAddresses: false, lookup });
    const { port } = new URL(origin);
    const url = `https://rebinding.example:${port}/`;
    // There is no way to the first from here; what counts is that the second is not connected to.
    const attempts = [send({ method: 'GET', url, headers: {} }), send({ method: 'GET', url, headers: {} })];
    const [, second] = await Promise.allSettled(attempts);
    expect(asked).toBe(2);
    expect(String((second as PromiseRejectedResult).reason)).toContain('no public address');
    expect(fetches).toBe(0);
  });

  it('knows public addresses', () => {
    for (const address of ['93.184.216.34', '8.8.8.8', '2606:4700::1111'])
      expect(isPublicAddress(address)).toBe(true);
    for (const address of [
      '',
      'x',
      '192.0.2.1',
      '198.18.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '2001:db8::1',
      'ff02::1',
    ]) {
      expect(isPublicAddress(address)).toBe(false);
    }
  });
});

function endless(res: http.ServerResponse): void {
  const more = (): void => {
    while (!res.destroyed && res.write(' '.repeat(65_536)));
  };
  res.on('drain', more);
  more();
}
