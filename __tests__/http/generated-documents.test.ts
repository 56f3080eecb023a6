import http from 'node:http';
import type { AddressInfo } from 'node:net';

import fc from 'fast-check';
import type * as jose from 'jose';
import request from 'supertest';

import { oidcProvider } from 'express-oauth-router';

import { agentOf, callback, federatedHost, leave, type FederatedHost } from '../support/federation';
import {
  answerOf,
  authorizationForm,
  authorize,
  CALLBACK,
  makeHost,
  pkce,
  VARIANTS,
  type Host,
} from '../support/host';
import { assertion, ASSERTION_TYPE, clientKey, type ClientKey } from '../support/jose';
import {
  misbehavingProvider,
  type Endpoint,
  type MisbehavingProvider,
  type Sent,
} from '../support/misbehaving-provider';

/** How many documents of each kind are made: as many as you like by hand. */
const DOCUMENTS = Number(process.env.GENERATED_DOCUMENTS ?? 300);
/** For those that need a router of their own. */
const FEW = Math.ceil(DOCUMENTS / 6);
/** Each version of Express has another one. */
const VARIANT = VARIANTS[0]!;
const SECRET = 'our-secret-at-the-provider';

type Json = Record<string, unknown>;

/** One change of a document: at the member that `at` chooses. */
interface Change {
  at: number;
  edit: (value: unknown) => unknown;
}

/** What is done to a document on its way. */
interface Bend {
  changes: Change[];
  status: number;
  type: string;
  edit: (text: string) => string;
}

const junk = fc.oneof(
  fc.constantFrom(
    undefined,
    null,
    true,
    false,
    0,
    -1,
    1e308,
    '',
    [],
    {},
    [[]],
    [null],
    'eve',
    'ES256',
    'none',
  ),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.webPath().map((path) => `https://provider.invalid${path}`),
  fc.constantFrom(
    'http://127.0.0.1:9/',
    'https://evil.example/',
    'file:///etc/passwd',
    'javascript:alert(1)',
  ),
  fc.constant(JSON.parse('{"__proto__":{"admin":true},"constructor":{"prototype":{}}}') as unknown),
  fc.integer({ min: 50, max: 5000 }).map((length) => 'x'.repeat(length)),
);

const edits: fc.Arbitrary<Change['edit']> = fc.oneof(
  junk.map((value) => () => value),
  junk.map((value) => (old: unknown) => [old, value]),
  fc.tuple(fc.nat(), fc.string({ unit: 'binary', maxLength: 3 })).map(([at, piece]) => (old: unknown) => {
    const text = typeof old === 'string' ? old : JSON.stringify(old ?? null);
    const position = at % (text.length + 1);
    return text.slice(0, position) + piece + text.slice(position + (at % 2));
  }),
);

const changes = fc.array(fc.record({ at: fc.nat(), edit: edits }), { minLength: 1, maxLength: 3 });

const bends: fc.Arbitrary<Bend> = fc.record({
  changes,
  status: fc.oneof(
    { weight: 8, arbitrary: fc.constant(200) },
    fc.constantFrom(201, 204, 302, 400, 401, 404, 429, 500),
  ),
  type: fc.oneof(
    { weight: 8, arbitrary: fc.constant('application/json') },
    fc.constantFrom('text/html', 'application/jwt', 'application/json; charset=utf-16', 'nonsense'),
  ),
  edit: fc.oneof(
    { weight: 8, arbitrary: fc.constant((text: string) => text) },
    fc.nat().map((at) => (text: string) => text.slice(0, at % (text.length + 1))),
    fc
      .nat({ max: 4000 })
      .map((depth) => (text: string) => `{"deep":${'['.repeat(depth)}${']'.repeat(depth)},${text.slice(1)}`),
    fc.constantFrom('\ufeff', 'while(1);', ' ', '\0').map((first) => (text: string) => first + text),
    fc.string({ unit: 'binary', maxLength: 60 }).map((text) => () => text),
  ),
});

const AS_IT_IS: Bend = { changes: [], status: 200, type: 'application/json', edit: (text) => text };

/** Returns the paths of all members of a document, its own first. */
function pathsOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const here = [...path, name];
    return [here, ...pathsOf(inner, here)];
  });
}

function changed(document: object, list: readonly Change[]): Json {
  const result = structuredClone(document) as Json;
  for (const { at, edit } of list) {
    const paths = pathsOf(result);
    const path = paths[at % Math.max(1, paths.length)];
    if (!path) continue;
    const parent = path.slice(0, -1).reduce<Json>((value, name) => value[name] as Json, result);
    const name = path.at(-1)!;
    // An assignment to `__proto__` would add no member.
    const value = structuredClone(edit(parent[name]));
    Object.defineProperty(parent, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return result;
}

function bent(document: object, { changes: list, status, type, edit }: Bend): Sent {
  return { status, type, text: edit(JSON.stringify(changed(document, list))) };
}

/** Returns the coordinates of a key, without what no decoder of base64 minds. */
function pointOf(jwk: jose.JWK | null): Buffer[] {
  return [jwk?.x, jwk?.y].map((part) => Buffer.from(typeof part === 'string' ? part : '', 'base64url'));
}

/** Reads a document; a byte order mark is no part of it. */
function parsed({ text }: Sent): Json {
  return JSON.parse(text.replace(/^\ufeff/, '')) as Json;
}

/** What other servers say: documents, token responses and callbacks that nobody has thought of. */
describe('generated documents', () => {
  const failures: unknown[] = [];
  const onFailure = (thrown: unknown): number => failures.push(thrown);
  beforeAll(() => {
    process.on('unhandledRejection', onFailure);
    process.on('uncaughtExceptionMonitor', onFailure);
  });
  afterAll(() => {
    process.off('unhandledRejection', onFailure);
    process.off('uncaughtExceptionMonitor', onFailure);
  });
  afterEach(() => expect(failures).toEqual([]));

  describe('of providers', () => {
    let provider: MisbehavingProvider;
    let host: FederatedHost;
    beforeAll(async () => (provider = await misbehavingProvider()));
    afterAll(() => provider.close());

    const newHost = (): FederatedHost =>
      federatedHost(VARIANT, {
        acme: oidcProvider({
          issuer: provider.issuer,
          clientId: 'our-server',
          clientSecret: SECRET,
          timeout: 2,
          trustEmailVerified: true,
        }),
      });

    function bendOnly(place: Endpoint, bend: Bend): void {
      provider.bend = (path, document) => bent(document, path === place ? bend : AS_IT_IS);
    }

    /** Signs in once. Returns the response for the client, and checks what is true whatever a provider says. */
    async function come(more: Record<string, string> = {}): Promise<Record<string, string | undefined>> {
      host.resolved.length = host.events.length = provider.asked.length = 0;
      const agent = agentOf(host);
      const left = await leave(host, agent);
      const { location } = left.headers;
      if (location === undefined || location.startsWith(CALLBACK)) return checked(left);
      const back = await callback(agent, provider.callbackFor(location, more));
      if (back.status !== 400) return checked(back);
      // The client is not known without the state.
      expect(Object.keys(more)).toContain('state');
      expect(host.resolved).toHaveLength(0);
      return {};
    }

    function checked(response: request.Response): Record<string, string | undefined> {
      expect(response.text).not.toContain(SECRET);
      expect(response.text).not.toMatch(/\n +at /);
      expect([302, 303]).toContain(response.status);
      expect(response.headers.location?.startsWith(`${CALLBACK}?`)).toBe(true);
      const answer = answerOf(response);
      expect(answer).toMatchObject({ state: 'xyz', iss: host.issuer });
      if (answer.code === undefined)
        expect(answer.error).toMatch(/^(access_denied|server_error|temporarily_unavailable)$/);
      expect(host.resolved).toHaveLength(answer.code === undefined ? 0 : 1);
      return answer;
    }

    /** Checks a property of what is generated, after that of a provider that behaves. The property returns the code. */
    async function generate<T>(
      arbitrary: fc.Arbitrary<T>,
      right: T,
      runs: number,
      property: (value: T) => Promise<string | undefined>,
    ): Promise<void> {
      expect(await property(right)).toBeDefined();
      const check = async (value: T): Promise<void> => {
        await property(value);
      };
      await fc.assert(fc.asyncProperty(arbitrary, check), { numRuns: runs });
    }

    it.each(['/.well-known/openid-configuration', '/jwks'] as const)(
      '%s: an error for the client, or the user whom the provider named',
      async (place: Endpoint) => {
        await generate(bends, AS_IT_IS, FEW, async (bend) => {
          host = newHost();
          bendOnly(place, bend);
          const { code } = await come();
          for (const { identity } of host.resolved)
            expect(identity).toMatchObject({ issuer: provider.issuer, subject: 'eve', emailVerified: false });
          return code;
        });
      },
      600_000,
    );

    describe('after a good start', () => {
      beforeAll(async () => {
        provider.bend = undefined;
        host = newHost();
        expect(await come()).toHaveProperty('code');
      });

      it.each(['/token', '/userinfo'] as const)(
        '%s: an error for the client, or the user whom the provider named',
        async (place: Endpoint) => {
          await generate(bends, AS_IT_IS, DOCUMENTS, async (bend) => {
            bendOnly(place, bend);
            const { code } = await come();
            for (const { identity } of host.resolved)
              expect(identity).toMatchObject({ issuer: provider.issuer, subject: 'eve' });
            return code;
          });
        },
        600_000,
      );

      beforeEach(() => (provider.bend = undefined));
      afterEach(() => (provider.claims = {}));

      it('ID tokens: only what was signed for this server, this sign-in and this time is believed', async () => {
        const now = Math.floor(Date.now() / 1000);
        const NAMES = 'iss aud exp iat nonce azp nbf auth_time acr amr email email_verified name sid'.split(
          ' ',
        );
        const others = fc.dictionary(
          fc.constantFrom(...NAMES),
          fc.oneof(
            junk,
            fc.constantFrom(now, now - 1000, now + 1000, 'our-server', ['our-server'], ['our-server', 'x']),
          ),
          { minKeys: 1, maxKeys: 3, noNullPrototype: true },
        );
        const subjects = fc.constantFrom(
          {},
          ...[['eve'], 'mallory', '', 4711, null, {}].map((sub) => ({ sub })),
        );
        const claims: fc.Arbitrary<Json> = fc
          .tuple(others, subjects)
          .map(([one, other]) => ({ ...one, ...other }));
        await generate(claims, {}, DOCUMENTS, async (more) => {
          provider.claims = more;
          const { code } = await come();
          for (const { identity } of host.resolved) {
            // JSON leaves out what is undefined.
            const has = (name: string): boolean => more[name] !== undefined;
            expect(identity).toMatchObject({ issuer: provider.issuer, subject: more.sub ?? 'eve' });
            // An address and its verification come from the same document.
            const isVerified = more.email_verified === true || more.email_verified === 'true';
            const hasAddress = typeof more.email === 'string' && more.email !== '';
            expect(identity.emailVerified).toBe(isVerified && hasAddress);
            if (has('nonce')) throw new Error('a nonce of another sign-in');
            if (has('aud')) expect([more.aud].flat()).toContain('our-server');
            if (has('exp')) expect(more.exp).toBeGreaterThan(now - 60);
            if (has('nbf')) expect(more.nbf).toBeLessThan(now + 600);
          }
          return code;
        });
      }, 600_000);

      it('callbacks: nothing but the code of this sign-in gets a code', async () => {
        const NAMES = [
          'code',
          'state',
          'iss',
          'error',
          'error_description',
          'user',
          'id_token',
          'access_token',
        ];
        const values = fc.oneof(
          fc.string({ unit: 'binary', maxLength: 60 }).map((text) => Buffer.from(text).toString()),
          fc.json({ maxDepth: 3 }),
          fc.constantFrom('', 'access_denied', 'login_required', 'https://evil.example', 'code.x'),
        );
        const parameters: fc.Arbitrary<Record<string, string>> = fc.dictionary(
          fc.constantFrom(...NAMES),
          values,
          {
            minKeys: 1,
            maxKeys: 3,
            noNullPrototype: true,
          },
        );
        await generate(parameters, {}, DOCUMENTS, async (more) => {
          const { code } = await come(more);
          const isAsked = provider.asked.some(({ path }) => path === '/token');
          if ('state' in more || (more.iss ?? provider.issuer) !== provider.issuer || more.error)
            expect([isAsked, code]).toEqual([false, undefined]);
          if ('code' in more) expect(code).toBeUndefined();
          return code;
        });
      }, 600_000);
    });
  });

  describe('of clients', () => {
    let server: http.Server;
    let origin: string;
    let host: Host;
    let key: ClientKey;
    const served = new Map<string, Sent>();
    let count = 0;

    beforeAll(async () => {
      key = await clientKey();
      server = http.createServer((req, res) => {
        const { status, type, text } = served.get(req.url ?? '')!;
        res.writeHead(status, { 'Content-Type': type }).end(text);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      origin = `http://localhost:${(server.address() as AddressInfo).port}`;
    });
    afterAll(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });

    it('metadata documents: a client is what its document says, or is refused', async () => {
      host = makeHost(VARIANT, { metadataDocuments: true, allowPrivateAddresses: true });
      await fc.assert(
        fc.asyncProperty(bends, async (bend) => {
          const path = `/clients/${++count}`;
          const client = origin + path;
          const sent = bent(
            {
              client_id: client,
              client_name: 'Document client',
              redirect_uris: [CALLBACK, 'http://localhost/callback'],
              grant_types: ['authorization_code', 'refresh_token'],
              response_types: ['code'],
              token_endpoint_auth_method: 'none',
              jwks: { keys: [key.publicJwk] },
              logo_uri: 'https://app.example.com/logo.png',
              scope: 'profile',
            },
            bend,
          );
          served.clear();
          served.set(path, sent);
          const response = await authorize(host, authorizationForm('web', pkce(), { client_id: client }));
          const { location } = response.headers;
          if (response.status === 503) return expect([429, 500]).toContain(sent.status);
          if (response.status === 400 || response.status === 401) return expect(bend).not.toBe(AS_IT_IS);
          expect([200, 302, 303]).toContain(response.status);
          const document = parsed(sent);
          expect([sent.status, document.client_id]).toEqual([200, client]);
          expect(document.redirect_uris).toContain(CALLBACK);
          if (location !== undefined)
            expect(location.startsWith(CALLBACK) || location.startsWith('/')).toBe(true);
        }),
        { numRuns: DOCUMENTS, examples: [[AS_IT_IS]] },
      );
    }, 600_000);

    it('key sets: an assertion is good only with its own key', async () => {
      const other = await clientKey();
      await fc.assert(
        fc.asyncProperty(bends, async (bend) => {
          served.clear();
          served.set('/jwks', bent({ keys: [other.publicJwk, key.publicJwk] }, bend));
          host = makeHost(VARIANT, {
            clients: [{ clientId: 'remote', jwksUri: `${origin}/jwks`, grantTypes: ['client_credentials'] }],
            allowPrivateAddresses: true,
          });
          const stranger = await clientKey();
          for (const [by, mayPass] of [
            [key, true],
            [{ ...stranger, kid: key.kid }, false],
          ] as const) {
            const response = await request(host.app)
              .post(`${host.base}/token`)
              .type('form')
              .send({
                grant_type: 'client_credentials',
                client_assertion: await assertion(by, {
                  clientId: 'remote',
                  issuer: host.issuer,
                  now: host.now,
                }),
                client_assertion_type: ASSERTION_TYPE,
              });
            expect([200, 401, 503]).toContain(response.status);
            if (bend === AS_IT_IS) expect(response.status).toBe(mayPass ? 200 : 401);
            if (response.status !== 200) continue;
            expect(mayPass).toBe(true);
            const published = parsed(served.get('/jwks')!) as { keys: (jose.JWK | null)[] };
            expect(published.keys.map(pointOf)).toContainEqual(pointOf(key.publicJwk));
          }
        }),
        { numRuns: FEW, examples: [[AS_IT_IS]] },
      );
    }, 600_000);
  });
});
