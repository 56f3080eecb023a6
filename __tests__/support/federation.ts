import request from 'supertest';

import {
  oauth2Provider,
  oidcProvider,
  type OAuthUser,
  type Provider,
  type ResolveUserContext,
} from 'express-oauth-router';
import type { ProviderIdentity } from 'express-oauth-router';

import { browser } from './browser';
import {
  authorizationForm,
  CLIENTS,
  makeHost,
  pkce,
  redirectUriOf,
  VARIANTS,
  type ClientName,
  type Form,
  type Host,
  type HostOptions,
  type Pkce,
  type Variant,
} from './host';
import { startProcess, type ServerProcess } from './process';

/** Where any host of the tests has its callback for these providers. */
const CALLBACKS = ['', '/api/v1/oauth'].flatMap((base) =>
  ['acme', 'other'].map((id) => `http://localhost:3000${base}/callback/${id}`),
);

/** Providers that we did not write, each in a process of its own. */
export interface Upstreams {
  oidc: ServerProcess;
  oauth2: ServerProcess;
  /** The issuer, with the name that it calls itself by. */
  issuer: string;
  stop(): void;
}

export async function startUpstreams(): Promise<Upstreams> {
  const [oidc, oauth2] = await Promise.all([
    startProcess('oidc-provider-process.ts', ...CALLBACKS),
    startProcess('oauth2-server-process.ts'),
  ]);
  return {
    oidc,
    oauth2,
    issuer: oidc.origin.replace('127.0.0.1', 'localhost'),
    stop: () => {
      oidc.kill();
      oauth2.kill();
    },
  };
}

/** The two as providers of a host. */
export function providersOf({ issuer, oauth2 }: Upstreams, more: object = {}): Record<string, Provider> {
  return {
    acme: oidcProvider({ issuer, clientId: 'our-server', clientSecret: 'upstream-secret', ...more }),
    plain: oauth2Provider({
      authorizationEndpoint: `${oauth2.origin}/authorize`,
      tokenEndpoint: `${oauth2.origin}/token`,
      userinfo: `${oauth2.origin}/userinfo`,
      clientId: 'our-server',
      clientSecret: 'upstream-secret',
      scope: 'profile',
      claims: { subject: 'id', username: 'login', email: 'mail', picture: 'avatar.url' },
      ...more,
    }),
  };
}

export interface FederatedHost extends Host {
  /** What `resolveUser` was asked. */
  resolved: { identity: ProviderIdentity; context: ResolveUserContext }[];
}

/** A host whose users are named after their provider's, `new-…` of them new. Nobody is signed in at its own login. */
export function federatedHost(
  variant: Variant,
  providers: Record<string, Provider>,
  { federation, ...options }: HostOptions = {},
): FederatedHost {
  const resolved: FederatedHost['resolved'] = [];
  const host = makeHost(variant, {
    federation: {
      providers,
      resolveUser: (identity, context): OAuthUser & { isNew?: boolean } => {
        resolved.push({ identity, context });
        return { id: context.currentUser?.id ?? `${identity.providerId}-${identity.subject}`, isNew: true };
      },
      ...federation,
    },
    ...options,
  });
  host.user = undefined;
  return Object.assign(host, { resolved });
}

export const MEMORY: Variant = VARIANTS[0]!;

/** A browser at the host: it keeps the host's cookies. */
export type Agent = ReturnType<typeof request.agent>;

export function agentOf(host: Host): Agent {
  return request.agent(host.app);
}

/** The browser goes to `/authorize/:provider_id`. */
export function leave(
  host: Host,
  agent: Agent,
  {
    provider = 'acme',
    client = 'web',
    more = {},
    pair = pkce(),
  }: { provider?: string; client?: ClientName; more?: Form; pair?: Pkce } = {},
): request.Test {
  const form = new URLSearchParams(authorizationForm(client, pair, more));
  return agent.get(`${host.base}/authorize/${provider}?${form.toString()}`).set('Accept', 'application/json');
}

/** At oidc-provider: signs in and allows; gives the path and query of the callback. */
export async function signInUpstream(host: Host, location: string, login = 'alice'): Promise<string> {
  const { visit } = browser(location, [host.issuer]);
  const form = await visit(location);
  if (form.url.startsWith(host.issuer)) return pathOf(form.url);
  const consent = await visit(form.url, { prompt: 'login', login, password: 'any' });
  const back = await visit(consent.url, { prompt: 'consent' });
  if (!back.url.startsWith(host.issuer)) throw new Error(`no callback: ${back.url} ${back.text}`);
  return pathOf(back.url);
}

/** At a provider that asks nothing. */
export async function passUpstream(location: string): Promise<string> {
  const response = await fetch(location, { redirect: 'manual' });
  return pathOf(response.headers.get('location') ?? '');
}

export function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

export function callback(agent: Agent, path: string): request.Test {
  return agent.get(path).set('Accept', 'application/json');
}

/** All the way to the answer for the client. */
export async function signIn(
  host: Host,
  options: Parameters<typeof leave>[2] & { login?: string; agent?: Agent } = {},
): Promise<{ response: request.Response; verifier: string; agent: Agent }> {
  const pair = options.pair ?? pkce();
  const agent = options.agent ?? agentOf(host);
  const left = await leave(host, agent, { ...options, pair });
  const { location } = left.headers;
  if (left.status !== 302 || location === undefined) throw new Error(`${left.status} ${left.text}`);
  const back =
    options.provider === 'plain'
      ? await passUpstream(location)
      : await signInUpstream(host, location, options.login);
  return { response: await callback(agent, back), verifier: pair.verifier, agent };
}

export { CLIENTS, redirectUriOf };
