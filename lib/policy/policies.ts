import type { Client } from '../clients/client';
import { callHostSync } from '../host/call';
import type { GrantContext, Policy } from '../host/grant-context';
import type { AccessTokenFormat } from '../tokens/access-token';
import { FAPI_ALGORITHMS } from '../tokens/algorithms';
import type { SigningKeys } from '../tokens/signing-keys';
import type { ResolvedResource } from './audiences';
import type { TokenAlgorithms } from './token-algorithms';

type PolicyOf<T> = (context: GrantContext) => T;

/**
 * Every policy as a function: the options with their defaults, the settings of resources, and the rules that apply to clients.
 * Lifetimes are in seconds.
 */
export interface Policies {
  authorizationCodeLifetime: PolicyOf<number>;
  accessTokenLifetime: PolicyOf<number>;
  accessTokenFormat: PolicyOf<AccessTokenFormat>;
  /** Returns the algorithms of which one signs the access token. */
  accessTokenAlgorithms: PolicyOf<readonly string[]>;
  idTokenLifetime: PolicyOf<number>;
  /** Returns the algorithms of which one signs ID tokens, authorization responses and logout tokens. */
  idTokenAlgorithms: (client: Client) => readonly string[];
  refreshTokenIdleLifetime: PolicyOf<number>;
  refreshTokenAbsoluteLifetime: PolicyOf<number>;
  refreshTokenLeeway: PolicyOf<number>;
  refreshTokenRotation: PolicyOf<'always' | 'never'>;
  /** Whether the grant gets a refresh token. */
  issuesRefreshToken: PolicyOf<boolean>;
  consentLifetime: PolicyOf<number>;
  parkedRequestLifetime: PolicyOf<number>;
  pushedRequestLifetime: PolicyOf<number>;
  sessionLifetime: PolicyOf<number>;
  federationLifetime: PolicyOf<number>;
}

/** 100 years, which every date can hold. Seconds. */
export const LONGEST_LIFETIME = 100 * 365 * 86_400;

/** The longest lifetime of a code: it travels in URLs (OWASP ASVS 5.0, 10.4.3). Seconds. */
export const LONGEST_CODE_LIFETIME = 600;

export interface PolicyOptions {
  readonly lifetimes: Readonly<
    Record<
      | 'authorizationCode'
      | 'accessToken'
      | 'idToken'
      | 'consent'
      | 'parkedRequest'
      | 'pushedRequest'
      | 'federation'
      | 'session',
      Policy<number>
    >
  >;
  readonly refreshTokens: {
    readonly issue: Policy<'always' | 'offline_access'>;
    readonly rotation: Policy<'always' | 'never'>;
    readonly leeway: Policy<number>;
    readonly idleLifetime: Policy<number>;
    readonly absoluteLifetime: Policy<number>;
  };
  readonly accessTokenFormat: Policy<AccessTokenFormat>;
  readonly resources: readonly ResolvedResource[];
  readonly signingKeys: Pick<SigningKeys, 'algorithms'>;
  readonly tokenAlgorithms: TokenAlgorithms;
}

export function createPolicies(options: PolicyOptions): Policies {
  const { lifetimes, refreshTokens, signingKeys, tokenAlgorithms } = options;
  const codeLifetime = lifetime('lifetimes.authorizationCode', lifetimes.authorizationCode, {
    most: LONGEST_CODE_LIFETIME,
  });
  const pushedRequestLifetime = lifetime('lifetimes.pushedRequest', lifetimes.pushedRequest);
  const issue = choice('refreshTokens.issue', refreshTokens.issue, ['always', 'offline_access']);

  return {
    ...createAccessTokenPolicies(options),
    // FAPI 2.0 Security Profile §5.3.2.1 and §5.3.2.2
    authorizationCodeLifetime: (context) =>
      Math.min(codeLifetime(context), isShortLived(context) ? 60 : Infinity),
    pushedRequestLifetime: (context) =>
      Math.min(pushedRequestLifetime(context), context.client.fapi ? 599 : Infinity),
    accessTokenAlgorithms: ({ client, resources }) =>
      // FAPI 2.0 Security Profile §5.4.1 takes precedence over the setting of a resource.
      client.fapi ? FAPI_ALGORITHMS : tokenAlgorithms.of(resources),
    idTokenLifetime: lifetime('lifetimes.idToken', lifetimes.idToken),
    idTokenAlgorithms: createIdTokenAlgorithms(signingKeys.algorithms),
    refreshTokenIdleLifetime: lifetime('refreshTokens.idleLifetime', refreshTokens.idleLifetime),
    refreshTokenAbsoluteLifetime: lifetime('refreshTokens.absoluteLifetime', refreshTokens.absoluteLifetime),
    refreshTokenLeeway: lifetime('refreshTokens.leeway', refreshTokens.leeway, { least: 0 }),
    refreshTokenRotation: choice('refreshTokens.rotation', refreshTokens.rotation, ['always', 'never']),
    issuesRefreshToken: (context) =>
      context.client.grantTypes.includes('refresh_token') &&
      ((context.client.refreshTokens ?? issue(context)) === 'always' ||
        context.scope.includes('offline_access')),
    consentLifetime: lifetime('lifetimes.consent', lifetimes.consent),
    parkedRequestLifetime: lifetime('lifetimes.parkedRequest', lifetimes.parkedRequest),
    sessionLifetime: lifetime('lifetimes.session', lifetimes.session),
    federationLifetime: lifetime('lifetimes.federation', lifetimes.federation),
  };
}

/** Creates the lifetime and format policies of access tokens: a resource's own settings take precedence over the router's. */
function createAccessTokenPolicies(
  options: PolicyOptions,
): Pick<Policies, 'accessTokenLifetime' | 'accessTokenFormat'> {
  const general = {
    lifetime: lifetime('lifetimes.accessToken', options.lifetimes.accessToken),
    format: format('accessTokenFormat', options.accessTokenFormat),
  };
  const byResource = new Map(
    options.resources.map(({ identifier, accessTokenLifetime, accessTokenFormat }) => [
      identifier,
      {
        lifetime:
          accessTokenLifetime === undefined
            ? undefined
            : lifetime(`accessTokenLifetime of ${identifier}`, accessTokenLifetime),
        format:
          accessTokenFormat === undefined
            ? undefined
            : format(`accessTokenFormat of ${identifier}`, accessTokenFormat),
      },
    ]),
  );
  return {
    accessTokenLifetime: (context) => {
      const own = context.resources.flatMap((name) => byResource.get(name)?.lifetime?.(context) ?? []);
      return own.length > 0 ? Math.min(...own) : general.lifetime(context);
    },
    accessTokenFormat: (context) => {
      // A pairwise client must not read the user's real id in a token.
      if (context.client.subjectType === 'pairwise') return 'opaque';
      const [own] = context.resources.flatMap((name) => byResource.get(name)?.format?.(context) ?? []);
      return own ?? general.format(context);
    },
  };
}

/**
 * Creates the policy for the algorithms of ID tokens: the client's choice, those of the FAPI profile, RS256 if there is a key for
 * it, or else the algorithm of the first key (OpenID Connect Registration §2).
 */
function createIdTokenAlgorithms(algorithms: readonly string[]): (client: Client) => readonly string[] {
  return ({ metadata, fapi }) => {
    if (metadata.idTokenSignedResponseAlg !== undefined) return [metadata.idTokenSignedResponseAlg];
    if (fapi) return FAPI_ALGORITHMS;
    return algorithms.includes('RS256') ? ['RS256'] : algorithms.slice(0, 1);
  };
}

/** Whether a code is limited to a minute: for FAPI clients, and for clients that get codes without a redirect. */
function isShortLived({ client }: GrantContext): boolean {
  return client.fapi || client.outOfBand !== undefined;
}

function lifetime(
  name: string,
  policy: Policy<number>,
  { least = 1, most = LONGEST_LIFETIME } = {},
): PolicyOf<number> {
  return evaluated(
    name,
    policy,
    (seconds) => Number.isSafeInteger(seconds) && seconds >= least && seconds <= most,
  );
}

function format(name: string, policy: Policy<AccessTokenFormat>): PolicyOf<AccessTokenFormat> {
  return choice(name, policy, ['jwt', 'opaque']);
}

function choice<T extends string>(name: string, policy: Policy<T>, values: readonly T[]): PolicyOf<T> {
  return evaluated(name, policy, (value) => values.includes(value));
}

/** Converts a policy to a function, and checks the results of a host's function. */
function evaluated<T>(name: string, policy: Policy<T>, valid: (value: T) => boolean): PolicyOf<T> {
  if (typeof policy !== 'function') return () => policy;
  const compute = policy as PolicyOf<T>;
  return (context) => {
    const value = callHostSync(`the function ${name}`, () => compute(context));
    if (!valid(value)) throw new TypeError(`the function ${name} returned ${String(value)}`);
    return value;
  };
}
