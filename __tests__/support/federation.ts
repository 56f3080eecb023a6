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
  type ClientName,
  type Form,
  type Host,
  type HostOptions,
  type Pkce,
  type Variant,
} from './host';
import { startProcess, type ServerProcess } from './process';

/** The callback URLs of all test hosts for these providers. */
const CALLBACKS = ['', '/api/v1/oauth'].flatMap((base) =>
  ['acme', 'other'].map((id) => `http://localhost:3000${base}/callback/${id}`),
);

/** Third-party providers, each in its own process. */
export interface Upstreams {
  oidc: ServerProcess;
  oauth2: ServerProcess;
  /** The issuer, by the host name that the provider itself uses. */
  issuer: string;
  stop(): Promise<unknown>;
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
    stop: () => Promise.all([oidc, oauth2].map((upstream) => upstream.kill())),
  };
}

/** Returns both servers as the providers of a host. */
export function providersOf({ issuer, oauth2 }: Upstreams, more: object = {}): Record<string, Provider> {
  return {
    acme: oidcProvider({
      issuer,
      clientId: 'our-server',
      clientSecret: 'upstream-secret',
      trustEmailVerified: true,
      ...more,
    }),
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
  /** The arguments of each call of `resolveUser`. */
  resolved: { identity: ProviderIdentity; context: ResolveUserContext }[];
}

/** Creates a host whose users are named after the provider's users, all of them new. No user is signed in at its own login. */
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

/** A browser at the host: it keeps the host's cookies. */
export type Agent = ReturnType<typeof request.agent>;

export function agentOf(host: Host): Agent {
  return request.agent(host.app);
}

/** Sends the browser to `/authorize/:provider_id`. */
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

/** Signs in at oidc-provider and gives consent. Returns the path and query of the callback. */
export async function signInUpstream(host: Host, location: string, login = 'alice'): Promise<string> {
  const { visit } = browser(location, [host.issuer]);
  const form = await visit(location);
  if (form.url.startsWith(host.issuer)) return pathOf(form.url);
  const consent = await visit(form.url, { prompt: 'login', login, password: 'any' });
  const back = await visit(consent.url, { prompt: 'consent' });
  if (!back.url.startsWith(host.issuer)) throw new Error(`no callback: ${back.url} ${back.text}`);
  return pathOf(back.url);
}

/** Passes a provider that does not ask the user. Returns the path and query of the callback. */
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

/** Signs in through a provider, up to the response for the client. */
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
  const response = await answerLinkPage(agent, await callback(agent, back));
  return { response, verifier: pair.verifier, agent };
}

/** Answers the page that asks whether to link, if it is shown. */
export async function answerLinkPage(
  agent: Agent,
  response: request.Response,
  decision = 'allow',
): Promise<request.Response> {
  const [, action, sealed] =
    /action="([^"]+\/link)">\s*<input type="hidden" name="request" value="([^"]+)"/.exec(response.text) ?? [];
  if (action === undefined) return response;
  return agent
    .post(pathOf(action))
    .set('Accept', 'application/json')
    .type('form')
    .send({ request: sealed, decision });
}

export { CLIENTS, redirectUriOf };
