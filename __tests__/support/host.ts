import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import express, { type Express } from 'express';
import Redis from 'ioredis';
import { Pool } from 'pg';
import request from 'supertest';

import {
  createOAuthRouter,
  generateClientSecret,
  memoryAdapter,
  redisAdapter,
  type Adapter,
  type ClientOptions,
  type OAuthEventMap,
  type OAuthRouter,
  type OAuthRouterOptions,
  type OAuthUser,
  type StoredGrant,
} from 'express-oauth-router';
import { migrate, pgAdapter } from 'express-oauth-router/postgres';
import { sqliteAdapter } from 'express-oauth-router/sqlite';

import { OPTIONAL_FUNCTIONS, REQUIRED_FUNCTIONS } from '../../lib/adapters/contract';
import { openSqlite } from './sqlite';

export const SECRET = 'a secret of the tests that has more than 32 bytes';
export const CALLBACK = 'https://app.example.com/callback';
export const SPA_CALLBACK = 'https://spa.example.com/cb';
export const ORDERS = 'https://orders.example.com';

export const CLIENTS = {
  /** A confidential first-party client with HTTP Basic. */
  web: {
    clientId: 'web',
    clientSecret: 'web-secret',
    redirectUris: [CALLBACK],
    scope: 'profile orders:read orders:write',
    firstParty: true,
  },
  /** Public. */
  spa: { clientId: 'spa', redirectUris: [SPA_CALLBACK], scope: 'profile orders:read', firstParty: true },
  /** Another party's client: the user is asked for consent. */
  third: {
    clientId: 'third',
    clientSecret: 'third-secret',
    clientName: 'Third & <b>Sons</b>',
    redirectUris: [CALLBACK],
    scope: 'profile orders:read',
  },
  native: {
    clientId: 'native',
    redirectUris: ['http://127.0.0.1/cb', 'com.example.app:/cb'],
    scope: 'profile',
    firstParty: true,
  },
  post: {
    clientId: 'post',
    clientSecret: 'post-secret',
    tokenEndpointAuthMethod: 'client_secret_post',
    redirectUris: [CALLBACK],
    scope: 'profile',
    firstParty: true,
  },
  machine: {
    clientId: 'machine',
    clientSecret: 'machine-secret',
    grantTypes: ['client_credentials'],
    scope: 'jobs:run jobs:read',
  },
  /** Its registration names the method, and no other is accepted. */
  exact: {
    clientId: 'exact',
    clientSecret: 'exact-secret',
    tokenEndpointAuthMethod: 'client_secret_basic',
    grantTypes: ['client_credentials'],
  },
  /** The resource server. */
  api: {
    clientId: 'api',
    clientSecret: 'api-secret',
    grantTypes: ['client_credentials'],
    introspectionAudiences: [ORDERS],
  },
  /** An old confidential client that cannot do PKCE. */
  old: {
    clientId: 'old',
    clientSecret: 'old-secret',
    redirectUris: [CALLBACK],
    scope: 'profile',
    firstParty: true,
    requirePkce: false,
  },
  /** No refresh tokens. */
  brief: {
    clientId: 'brief',
    clientSecret: 'brief-secret',
    redirectUris: [CALLBACK],
    scope: 'profile',
    firstParty: true,
    grantTypes: ['authorization_code'],
  },
  /** Refresh tokens that are not rotated. */
  steady: {
    clientId: 'steady',
    clientSecret: 'steady-secret',
    redirectUris: [CALLBACK],
    scope: 'profile',
    firstParty: true,
    refreshTokenRotation: 'never',
  },
} satisfies Record<string, ClientOptions>;

export type ClientName = keyof typeof CLIENTS;

export interface Variant {
  store: 'memory' | 'redis' | 'postgres' | 'sqlite';
  mount: 'root' | 'prefix';
}

/** The variants of this run: see jest.projects.js. */
export const VARIANTS: Variant[] = (globalThis as unknown as { VARIANTS: string[] }).VARIANTS.map((name) => {
  const [store, mount] = name.split(' ') as [Variant['store'], Variant['mount']];
  return { store, mount };
});

/** One variant for each store. */
export const STORES = VARIANTS.filter((variant, position) => firstWith('store', variant) === position);
/** One variant for each mount. */
export const MOUNTS = VARIANTS.filter((variant, position) => firstWith('mount', variant) === position);

function firstWith(member: keyof Variant, variant: Variant): number {
  return VARIANTS.findIndex((other) => other[member] === variant[member]);
}

type EventName = keyof OAuthEventMap;

/** A host app around the router, with a login that a test sets. */
export interface Host {
  app: Express;
  oauth: OAuthRouter;
  adapter: Adapter;
  issuer: string;
  /** The path of the issuer. */
  base: string;
  /** The user who is signed in. */
  user: OAuthUser | undefined;
  now: number;
  pass(seconds: number): void;
  events: { name: EventName; event: Record<string, unknown> }[];
  eventNames(): EventName[];
}

let redis: Redis | undefined;
let pool: Pool | undefined;

export function sharedRedis(): Redis {
  redis ??= new Redis(process.env.REDIS_URL!);
  return redis;
}

export function sharedPool(): Pool {
  pool ??= new Pool({
    connectionString: process.env.POSTGRES_URL!,
    connectionTimeoutMillis: 4000,
    statement_timeout: 4000,
  });
  return pool;
}

afterAll(async () => {
  await redis?.quit();
  redis = undefined;
  await pool?.end();
  pool = undefined;
});

/** Whether the clock of the tests moves that of the store. */
export function hasClock({ store }: Variant): boolean {
  return store === 'memory' || store === 'sqlite';
}

const prefixes = new WeakMap<Adapter, string>();

/** The beginning of the names of an adapter's keys on Redis, or of its tables on PostgreSQL. */
export function prefixOf(adapter: Adapter): string {
  return prefixes.get(adapter)!;
}

/** Tables of its own for each host, which are there before the first call. */
function freshPgAdapter(): Adapter {
  const prefix = `test_${randomBytes(6).toString('hex')}_`;
  const ready = migrate(sharedPool(), { prefix }).then(() => pgAdapter(sharedPool(), { prefix }));
  // A test that is over before does not wait for it.
  ready.catch(() => undefined);
  const functions = [...REQUIRED_FUNCTIONS, ...OPTIONAL_FUNCTIONS].filter((name) => name !== 'close');
  const adapter = Object.fromEntries(
    functions.map((name) => [
      name,
      async (...args: unknown[]) =>
        ((await ready)[name] as (...args: unknown[]) => Promise<unknown>)(...args),
    ]),
  ) as unknown as Adapter;
  prefixes.set(adapter, prefix);
  return adapter;
}

/** Makes a storage that has a clock of its own feel how a test moves its clock. `moved` is in milliseconds. */
function aging(adapter: Adapter, moved: () => number): Adapter {
  const stored = new Map<string, { generation: number; moved: number }>();
  const remember = ({ id, generation }: StoredGrant): void => {
    if (stored.get(id)?.generation !== generation) stored.set(id, { generation, moved: moved() });
  };
  const aged: Adapter = {
    ...adapter,
    saveGrant: async (grant) => {
      await adapter.saveGrant(grant);
      remember(grant);
    },
    advanceGrant: async (id, generation, next) => {
      const isStored = await adapter.advanceGrant(id, generation, next);
      if (isStored) remember(next);
      return isStored;
    },
    getGrant: async (id) => {
      const grant = await adapter.getGrant(id);
      const since = stored.get(id)?.moved ?? moved();
      return grant && { ...grant, age: (grant.age ?? 0) + moved() - since };
    },
  };
  const prefix = prefixes.get(adapter);
  if (prefix !== undefined) prefixes.set(aged, prefix);
  return aged;
}

function freshRedisAdapter(): Adapter {
  const prefix = `test:${randomBytes(6).toString('hex')}:`;
  const adapter = redisAdapter(sharedRedis(), { prefix });
  prefixes.set(adapter, prefix);
  return adapter;
}

function freshAdapter(store: Variant['store'], clock: () => number): Adapter {
  switch (store) {
    case 'memory':
      return memoryAdapter({ clock });
    case 'redis':
      return freshRedisAdapter();
    case 'postgres':
      return freshPgAdapter();
    case 'sqlite':
      return sqliteAdapter(openSqlite(':memory:'), { clock });
  }
}

export type HostOptions = Partial<OAuthRouterOptions> & {
  protect?: (app: Express, oauth: OAuthRouter) => void;
};

export function makeHost({ store, mount }: Variant, { protect, ...options }: HostOptions = {}): Host {
  const base = mount === 'root' ? '' : '/api/v1/oauth';
  const issuer = `http://localhost:3000${base}`;
  const host: Host = {
    app: express(),
    oauth: undefined as never,
    adapter: undefined as never,
    issuer,
    base,
    user: { id: 'alice' },
    now: Date.now(),
    pass: (seconds) => (host.now += seconds * 1000),
    events: [],
    eventNames: () => host.events.map(({ name }) => name),
  };
  const clock = (): number => host.now;
  const started = host.now;
  host.adapter = options.adapter ?? freshAdapter(store, clock);
  if (!options.adapter && !hasClock({ store, mount }))
    host.adapter = aging(host.adapter, () => host.now - started);
  host.oauth = createOAuthRouter({
    issuer,
    secrets: [SECRET],
    clients: Object.values(CLIENTS),
    authenticate: () => host.user,
    loginUrl: '/login',
    scopes: { 'orders:read': 'See your orders' },
    resources: [ORDERS],
    clock,
    ...options,
    adapter: host.adapter,
  });
  record(host);

  if (mount === 'prefix') {
    // Like an existing API: its parsers run before the router.
    host.app.use(express.json(), express.urlencoded({ extended: true }));
  }
  host.app.use(host.oauth.wellKnown);
  if (base) host.app.use(base, host.oauth);
  else host.app.use(host.oauth);
  protect?.(host.app, host.oauth);
  host.app.get('/other', (_req, res) => void res.send('the host'));
  return host;
}

function record(host: Host): void {
  host.oauth.events.onAny((name, event) => host.events.push({ name, event: { ...event } }));
}

export interface Pkce {
  verifier: string;
  challenge: string;
}

export function pkce(): Pkce {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

export type Form = Record<string, string | undefined>;

function given(form: Form): Record<string, string> {
  return Object.fromEntries(
    Object.entries(form).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

export function redirectUriOf(client: ClientName): string {
  return (CLIENTS[client] as ClientOptions | undefined)?.redirectUris?.[0] ?? '';
}

/** Returns the parameters of an authorization request. */
export function authorizationForm(
  client: ClientName,
  { challenge }: Pkce,
  more: Form = {},
): Record<string, string> {
  return given({
    response_type: 'code',
    client_id: client,
    redirect_uri: redirectUriOf(client),
    state: 'xyz',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...more,
  });
}

export function authorize(host: Host, form: Record<string, string> | string): request.Test {
  return request(host.app)
    .get(`${host.base}/authorize?${typeof form === 'string' ? form : new URLSearchParams(form).toString()}`)
    .set('Accept', 'application/json');
}

/** Returns the parameters of a redirect. */
export function answerOf(response: request.Response): Record<string, string> {
  const location = response.headers.location ?? '';
  return Object.fromEntries(new URLSearchParams(location.slice(location.indexOf('?') + 1)));
}

/** Gets a code, and the verifier that redeems it. */
export async function getCode(
  host: Host,
  client: ClientName = 'web',
  more: Form = {},
): Promise<{ code: string; verifier: string }> {
  const pair = pkce();
  const response = await authorize(host, authorizationForm(client, pair, more));
  const { code } = answerOf(response);
  if (!code)
    throw new Error(`no code: ${response.status} ${String(response.headers.location)} ${response.text}`);
  return { code, verifier: pair.verifier };
}

/** Posts a form, authenticated by the client's registered method. */
export function post(host: Host, path: string, client: ClientName | undefined, form: Form): request.Test {
  const test = request(host.app).post(`${host.base}${path}`).type('form');
  if (client === undefined) return test.send(new URLSearchParams(given(form)).toString());
  const { clientSecret, tokenEndpointAuthMethod } = CLIENTS[client] as ClientOptions;
  if (clientSecret !== undefined && tokenEndpointAuthMethod !== 'client_secret_post') {
    return test.auth(client, clientSecret as string).send(new URLSearchParams(given(form)).toString());
  }
  const credentials = given({ client_id: client, client_secret: clientSecret as string | undefined });
  return test.send(new URLSearchParams({ ...credentials, ...given(form) }).toString());
}

export function redeem(
  host: Host,
  client: ClientName,
  { code, verifier }: { code: string; verifier: string },
  more: Form = {},
): request.Test {
  return post(host, '/token', client, {
    grant_type: 'authorization_code',
    code,
    code_verifier: verifier,
    redirect_uri: redirectUriOf(client),
    ...more,
  });
}

export function refresh(host: Host, client: ClientName, refreshToken: string, more: Form = {}): request.Test {
  return post(host, '/token', client, { grant_type: 'refresh_token', refresh_token: refreshToken, ...more });
}

export interface Tokens {
  access_token: string;
  refresh_token: string;
  expires_in: number;
  scope: string;
}

/** Signs in and redeems the code. */
export async function getTokens(host: Host, client: ClientName = 'web', more: Form = {}): Promise<Tokens> {
  const response = await redeem(host, client, await getCode(host, client, more));
  if (response.status !== 200) throw new Error(response.text);
  return response.body as Tokens;
}

export async function isActive(host: Host, token: string, client: ClientName = 'web'): Promise<boolean> {
  const { body } = await post(host, '/introspect', client, { token });
  return (body as { active: boolean }).active;
}

/** Stores a client with a generated secret, and returns the secret. */
export async function storeClient(
  host: Host,
  metadata: Omit<ClientOptions, 'clientSecret'>,
): Promise<string> {
  const { clientSecret, clientSecretHash } = generateClientSecret();
  await host.adapter.saveClient!({ ...metadata, clientSecretHash });
  return clientSecret;
}

/** Returns the payload of a JWT. */
export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;
}

/** Starts a server, for clients that speak HTTP themselves. */
export async function listen(
  app: Express,
  port = 0,
): Promise<{ origin: string; server: Server; close(): Promise<void> }> {
  const server = app.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return { origin: `http://localhost:${(server.address() as AddressInfo).port}`, server, close };
}
