import type { ClientMetadata } from '../adapters/contract';
import { isMemoryAdapter } from '../adapters/memory';
import { missingFeatures } from '../clients/client-features';
import { PATHS, pathFaults } from '../endpoints/paths';
import { providerFaults } from '../federation/provider-checks';
import { isJsonObject } from '../json';
import { comparableUrl, type ResolvedResource } from '../policy/audiences';
import { FAPI_ALGORITHMS } from '../tokens/algorithms';
import type { SigningKeys } from '../tokens/signing-keys';
import type { AnyOptions } from './options';

/** The condition in every message about a value or a default that exists in development only. */
const OUTSIDE_DEVELOPMENT =
  'outside development (a loopback issuer or "allowHttp", and a NODE_ENV other than "production")';

/**
 * Finds options that are allowed, or may be left out, in development only. `wrong` contains the names of the options that already
 * have another fault.
 */
export function productionFaults(
  { issuer, adapter, loginUrl }: Partial<AnyOptions>,
  wrong: ReadonlySet<unknown>,
): string[] {
  const faults: [name: string, applies: boolean, fault: string][] = [
    [
      'loginUrl',
      typeof loginUrl === 'string' && loginUrl.startsWith('http:'),
      `must be https ${OUTSIDE_DEVELOPMENT}`,
    ],
    [
      'issuer',
      typeof issuer === 'string' && issuer.startsWith('http:'),
      `must be https ${OUTSIDE_DEVELOPMENT}`,
    ],
    [
      'adapter',
      adapter === undefined,
      `is missing: ${OUTSIDE_DEVELOPMENT}, give redisAdapter(redis) or your own adapter`,
    ],
    [
      'adapter',
      isJsonObject(adapter) && isMemoryAdapter(adapter),
      `must not be the memory adapter ${OUTSIDE_DEVELOPMENT}: give redisAdapter(redis) or your own adapter`,
    ],
  ];
  return faults
    .filter(([name, applies]) => applies && !wrong.has(name))
    .map(([name, , fault]) => `"${name}" ${fault}`);
}

export function federationFaults({ federation }: AnyOptions, allowHttp: boolean): string[] {
  const { providers, resolveUser, defaultProvider } = federation ?? {};
  // The schema reports a value that is not an object.
  if (typeof providers !== 'object' || (providers as unknown) === null) return [];
  const isMissing = defaultProvider !== undefined && !Object.hasOwn(providers, defaultProvider);
  const faults = [
    ...providerFaults(providers, { allowHttp }),
    ...(isMissing ? ['"federation.defaultProvider" is not among "federation.providers"'] : []),
  ];
  return resolveUser || Object.keys(providers).length === 0
    ? faults
    : [...faults, '"federation.providers" needs "federation.resolveUser"'];
}

/** Finds features of clients and resources for which an option, a key or a function of the adapter is missing. */
export function featureFaults(
  options: AnyOptions,
  { clients, resources }: { clients: readonly ClientMetadata[]; resources: readonly ResolvedResource[] },
  signingKeys: SigningKeys,
): string[] {
  const { defaultAudience } = options;
  const others = resources.map(({ identifier }) => identifier).filter((name) => name !== defaultAudience);
  const identifiers = [...others, ...(typeof defaultAudience === 'string' ? [defaultAudience] : [])].map(
    comparableUrl,
  );
  const twice = identifiers.find((name, position) => identifiers.indexOf(name) < position);
  const clientIds = new Set(clients.map(({ clientId }) => clientId));
  const paths: Readonly<Record<string, unknown>> = isJsonObject(options.paths) ? options.paths : {};
  const chosen = Object.entries(paths).filter(([, path]) => typeof path === 'string');
  return [
    ...pathFaults({
      ...PATHS,
      ...(options.registration ? {} : { register: UNUSED_PATH }),
      ...Object.fromEntries(chosen),
    })
      .filter(([name]) => name in paths)
      .map(([name, fault]) => `"paths.${name}" ${fault}`),
    ...clients.flatMap((client, position) =>
      clientFeatureFaults(client, options, signingKeys).map((fault) => `clients[${position}]: ${fault}`),
    ),
    ...resources.flatMap(({ signingAlgorithm }, position) =>
      signingAlgorithm !== undefined && signingKeys.first && !signingKeys.has(signingAlgorithm)
        ? [`"resources[${position}].signingAlgorithm" has no signing key`]
        : [],
    ),
    ...resources
      .filter(({ identifier, accessTokenType }) => accessTokenType === 'JWT' && clientIds.has(identifier))
      // Its access tokens would look like the ID tokens of that client.
      .map(
        ({ identifier }) => `"resources" has ${identifier}, with accessTokenType JWT, which is a client too`,
      ),
    ...(twice === undefined ? [] : [`"resources" contains ${twice} twice`]),
    ...registrationFaults(options),
  ];
}

/** A path that no other endpoint can have: that of an endpoint which is not there. */
const UNUSED_PATH = '/.not-there';

/** Functions of the adapter that registration needs. */
const REGISTRATION_FUNCTIONS = ['saveClient', 'replaceClient', 'extendClient', 'deleteClient'] as const;

function registrationFaults({ registration, adapter }: AnyOptions): string[] {
  if (!registration || !isJsonObject(adapter)) return [];
  const lacking = REGISTRATION_FUNCTIONS.filter((name) => adapter[name] === undefined);
  return lacking.length > 0
    ? [`"registration" needs ${lacking.map((name) => `${name}()`).join(', ')} of the adapter`]
    : [];
}

function clientFeatureFaults(
  client: ClientMetadata,
  { adapter, clientCertificate, pairwiseSecret, clientHeaders, outOfBand }: AnyOptions,
  { first, algorithms, has }: SigningKeys,
): string[] {
  // Without any key there is a fault already.
  const hasKeys = first !== undefined;
  const missing = missingFeatures(client, {
    signs: (alg) => !hasKeys || has(alg),
    hasCertificates: clientCertificate !== undefined,
    hasPairwiseSubjects: pairwiseSecret !== undefined,
    hasSessions: !isJsonObject(adapter) || adapter.listGrants !== undefined,
  });
  const isOpenid = String(client.scope).split(' ').includes('openid');
  const faults: [applies: boolean, fault: string][] = [
    [
      client.securityProfile === 'fapi2' &&
        hasKeys &&
        !algorithms.some((alg) => FAPI_ALGORITHMS.includes(alg)),
      '"securityProfile" needs a signing key for PS256 or ES256',
    ],
    [
      isOpenid && hasKeys && algorithms.length === 0,
      '"scope" contains openid, but a shared secret cannot sign ID tokens',
    ],
    [
      client.outOfBand === 'json' && !outOfBand?.anonymousSubject && !outOfBand?.headerSubject,
      '"outOfBand" needs the option "outOfBand.anonymousSubject" or "outOfBand.headerSubject"',
    ],
    [
      Array.isArray(client.publishableKeys) &&
        clientHeaders?.placeholderKey !== undefined &&
        client.publishableKeys.includes(clientHeaders.placeholderKey),
      '"publishableKeys" contains the "placeholderKey", which stands for no key',
    ],
  ];
  const own = faults.filter(([applies]) => applies).map(([, fault]) => fault);
  return [...new Set([...missing.map(({ fault }) => fault), ...own])];
}
