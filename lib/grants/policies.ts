import type { Client } from '../clients/client';
import type { AccessTokenFormat } from '../tokens/access-token';
import { refusePromise } from '../hooks';
import { FAPI_ALGORITHMS } from '../tokens/algorithms';
import type { SigningKeys } from '../tokens/signing-keys';
import type { ResourceOptions } from './audiences';
import type { GrantContext, Policies, Policy } from './policy';
import { tokenAlgorithms } from './token-algorithms';

const DAY = 86_400;
const LIFETIMES = {
  authorizationCodeLifetime: 60,
  accessTokenLifetime: 3600,
  idTokenLifetime: 3600,
  refreshTokenIdleLifetime: 30 * DAY,
  refreshTokenAbsoluteLifetime: 365 * DAY,
  refreshTokenLeeway: 30,
  consentLifetime: 600,
  parkedRequestLifetime: 3600,
  pushedRequestLifetime: 90,
  sessionLifetime: 14 * DAY,
  federationLifetime: 600,
} as const;
type LifetimeName = keyof typeof LIFETIMES;

/** Seconds; the longest that a date can hold with room to spare. */
export const LONGEST_LIFETIME = 100 * 365 * DAY;

/** The options that may be functions of a request's context. */
export type PolicyOptions = Partial<Record<LifetimeName, Policy<number>>> & {
  accessTokenFormat?: Policy<AccessTokenFormat>;
  refreshTokens?: Policy<'always' | 'offline_access'>;
  refreshTokenRotation?: Policy<'always' | 'never'>;
};

/** Every policy as a function, with the defaults, what resources say for themselves, and what clients are held to. */
export function policiesOf(
  options: PolicyOptions & { resources: readonly ResourceOptions[] },
  signingKeys: SigningKeys,
): Policies {
  const { algorithms } = signingKeys;
  const { of: algorithmsOf } = tokenAlgorithms(options.resources, signingKeys);
  const lifetimes = Object.entries(LIFETIMES).map(([name, otherwise]) => {
    const given = options[name as LifetimeName] ?? otherwise;
    const least = name === 'refreshTokenLeeway' ? 0 : 1;
    return [
      name,
      evaluated(
        name,
        given,
        (seconds) => Number.isSafeInteger(seconds) && seconds >= least && seconds <= LONGEST_LIFETIME,
      ),
    ];
  });
  const general = Object.fromEntries(lifetimes) as Record<LifetimeName, (context: GrantContext) => number>;
  const format = evaluated('accessTokenFormat', options.accessTokenFormat ?? 'jwt', isFormat);
  const refreshTokens = evaluated('refreshTokens', options.refreshTokens ?? 'always', (value) =>
    /^(always|offline_access)$/.test(value),
  );
  const resources = new Map(
    options.resources.map((resource) => [resource.identifier, resourcePolicies(resource)]),
  );
  const policiesOfResources = ({ resources: identifiers }: GrantContext): readonly ResourcePolicies[] =>
    identifiers.flatMap((name) => resources.get(name) ?? []);

  return {
    ...general,
    // FAPI 2.0 Security Profile §5.3.2.1 and §5.3.2.2
    authorizationCodeLifetime: (context) =>
      Math.min(general.authorizationCodeLifetime(context), isShortLived(context) ? 60 : Infinity),
    pushedRequestLifetime: (context) =>
      Math.min(general.pushedRequestLifetime(context), context.client.fapi ? 599 : Infinity),
    accessTokenLifetime: (context) => {
      const own = policiesOfResources(context).flatMap(({ lifetime: of }) => of?.(context) ?? []);
      return own.length > 0 ? Math.min(...own) : general.accessTokenLifetime(context);
    },
    accessTokenFormat: (context) => {
      // A client that is to know its user by a name of its own must not read another one in the token.
      if (context.client.subjectType === 'pairwise') return 'opaque';
      const [own] = policiesOfResources(context).flatMap(({ format: of }) => of?.(context) ?? []);
      return own ?? format(context);
    },
    accessTokenAlgorithms: (context) => {
      // FAPI 2.0 Security Profile §5.4.1 goes before what a resource wants.
      if (context.client.fapi) return FAPI_ALGORITHMS;
      return algorithmsOf(context.resources);
    },
    idTokenAlgorithms: idTokenAlgorithms(algorithms),
    refreshTokens: (context) =>
      context.client.grantTypes.includes('refresh_token') &&
      ((context.client.refreshTokens ?? refreshTokens(context)) === 'always' ||
        context.scope.includes('offline_access')),
    refreshTokenRotation: evaluated(
      'refreshTokenRotation',
      options.refreshTokenRotation ?? 'always',
      (value) => /^(always|never)$/.test(value),
    ),
  };
}

/** OpenID Connect Registration §2: RS256 unless the client says otherwise, if there is a key for it. */
function idTokenAlgorithms(algorithms: readonly string[]): (client: Client) => readonly string[] {
  return ({ metadata, fapi }) => {
    if (metadata.idTokenSignedResponseAlg !== undefined) return [metadata.idTokenSignedResponseAlg];
    if (fapi) return FAPI_ALGORITHMS;
    return algorithms.includes('RS256') ? ['RS256'] : algorithms.slice(0, 1);
  };
}

/** Codes of clients that are held to it, and those that a user or an app copies from an answer. */
function isShortLived({ client }: GrantContext): boolean {
  return client.fapi || client.outOfBand !== undefined;
}

interface ResourcePolicies {
  readonly lifetime: ((context: GrantContext) => number) | undefined;
  readonly format: ((context: GrantContext) => AccessTokenFormat) | undefined;
}

/** What a resource says for itself. */
function resourcePolicies(resource: ResourceOptions): ResourcePolicies {
  const { accessTokenLifetime, accessTokenFormat, identifier: name } = resource;
  const isLifetime = (seconds: number): boolean =>
    Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= LONGEST_LIFETIME;
  return {
    lifetime:
      accessTokenLifetime === undefined
        ? undefined
        : evaluated(`accessTokenLifetime of ${name}`, accessTokenLifetime, isLifetime),
    format:
      accessTokenFormat === undefined
        ? undefined
        : evaluated(`accessTokenFormat of ${name}`, accessTokenFormat, isFormat),
  };
}

function isFormat(value: string): boolean {
  return /^(jwt|opaque)$/.test(value);
}

/** A policy as a function whose answers are checked. */
function evaluated<T>(
  name: string,
  given: Policy<T>,
  valid: (value: T) => boolean,
): (context: GrantContext) => T {
  if (typeof given !== 'function') return () => given;
  return (context) => {
    const value = (given as (context: GrantContext) => T)(context);
    refusePromise(value, `the function ${name}`);
    if (!valid(value)) throw new TypeError(`the function ${name} gave ${String(value)}`);
    return value;
  };
}
