import type { Adapter, ClientMetadata } from '../adapters/contract';
import { memoryAdapter } from '../adapters/memory';
import { scopeValues } from '../clients/client';
import { optionSecretSealer } from '../clients/secret-sealer';
import { OAuthConfigurationError } from '../errors';
import { resolveProvider, type ResolvedProvider } from '../federation/provider';
import type { OAuthUser } from '../host/user';
import { isLoopbackUrl } from '../http/loopback';
import { resolveBranding, type ResolvedBranding } from '../pages/layout';
import { resolveResource, type ResolvedResource, type ResourceOptions } from '../policy/audiences';
import { replaceable, type Replaceable } from '../tokens/replaceable';
import type { SigningKeys } from '../tokens/signing-keys';
import { withDefaults } from '../with-defaults';
import { featureFaults, federationFaults, productionFaults } from './checks';
import { readClients } from './clients';
import { createReload, readCredentials, type Reload } from './credentials';
import { DEFAULTS, GROUPS, REGISTRATION_DEFAULTS, type GroupName } from './defaults';
import type { AnyOptions, MetadataDocumentOptions, OAuthRouterOptions, RegistrationOptions } from './options';
import { allOptionNames, namesIn, optionsSchema } from './schema';
import { describeFaults } from './suggestions';

/** Options in which those with a default are never `undefined`. */
type WithDefaults<Given, Defaults> = {
  readonly [Name in keyof Required<Given>]: Name extends keyof Defaults
    ? Exclude<Given[Name], undefined>
    : Given[Name];
};

type WithGroups = {
  readonly [Name in keyof Required<AnyOptions>]: Name extends GroupName
    ? WithDefaults<NonNullable<AnyOptions[Name]>, (typeof DEFAULTS)[Name]>
    : WithDefaults<AnyOptions, typeof DEFAULTS>[Name];
};

/** The options with every default filled in and every value in one form. */
export interface ResolvedOptions extends Omit<
  WithGroups,
  | 'adapter'
  | 'secrets'
  | 'signingKeys'
  | 'clients'
  | 'defaultAudience'
  | 'resources'
  | 'federation'
  | 'pages'
  | 'metadataDocuments'
  | 'registration'
> {
  readonly adapter: Adapter;
  readonly secrets: Replaceable<string>;
  readonly reload: Reload;
  readonly signingKeys: SigningKeys;
  readonly clients: readonly ClientMetadata[];
  readonly defaultAudience: string;
  readonly resources: readonly ResolvedResource[];
  readonly federation: Omit<WithGroups['federation'], 'providers' | 'linkScope'> & {
    readonly providers: ReadonlyMap<string, ResolvedProvider>;
    readonly linkScope: readonly string[];
  };
  readonly pages: Omit<WithGroups['pages'], 'branding'> & { readonly branding: ResolvedBranding };
  /** `undefined` where clients have no metadata documents. */
  readonly metadataDocuments: MetadataDocumentOptions | undefined;
  /** `undefined` where clients do not register themselves. */
  readonly registration: ResolvedRegistration | undefined;
  /** A loopback issuer, or `allowHttp`, and a `NODE_ENV` other than `production`. */
  readonly development: boolean;
}

export type ResolvedRegistration = WithDefaults<RegistrationOptions, typeof REGISTRATION_DEFAULTS>;

/** Checks all options and fills in the defaults. @throws OAuthConfigurationError that lists every fault */
export function resolveOptions<User extends OAuthUser, LoadedUser>(
  given: OAuthRouterOptions<User, LoadedUser>,
): ResolvedOptions {
  const { error } = optionsSchema.validate(given, { abortEarly: false, convert: false });
  const details = error?.details ?? [];
  const schemaFaults = describeFaults(details, allOptionNames);
  if (details.some(({ path }) => path.length === 0)) throw new OAuthConfigurationError(schemaFaults);

  // The hooks get the types that they expect: `User` and `LoadedUser` come from the host's own functions.
  const options = given as unknown as AnyOptions;
  const wrong = new Set(details.map(({ path }) => path[0]));
  const isProduction = process.env.NODE_ENV === 'production';
  const development = !isProduction && (isDevelopmentIssuer(options.issuer) || options.allowHttp === true);
  const { secrets, signingKeys, faults: credentialFaults } = readCredentials(options, development);
  const { clients, faults: clientFaults } = readClients(options, {
    allowHttp: development,
    seal: optionSecretSealer.seal,
  });
  const resources = readResources(options);
  const faults = [
    ...schemaFaults,
    ...(development ? [] : productionFaults(options, wrong)),
    ...(isProduction && options.allowHttp === true ? ['"allowHttp" must not be set in production'] : []),
    ...credentialFaults,
    ...clientFaults,
    ...featureFaults(options, { clients, resources }, signingKeys),
    ...federationFaults(options, development),
  ];
  if (faults.length > 0) throw new OAuthConfigurationError(faults);

  const { clock, federation, pages, metadataDocuments, registration, ...rest } = withAllDefaults(options);
  const replaceableSecrets = replaceable(secrets);
  return Object.freeze({
    ...rest,
    adapter: options.adapter ?? memoryAdapter({ clock }),
    secrets: replaceableSecrets,
    signingKeys,
    reload: createReload({ secrets: replaceableSecrets, signingKeys }),
    clients,
    defaultAudience: options.defaultAudience ?? options.issuer,
    resources,
    federation: {
      ...federation,
      providers: new Map(
        Object.entries(federation.providers).map(([id, provider]) => [id, resolveProvider(provider)]),
      ),
      linkScope: scopeValues(federation.linkScope),
    },
    pages: { ...pages, branding: resolveBranding(pages.branding, options.issuer) },
    metadataDocuments: metadataDocuments === true ? {} : metadataDocuments || undefined,
    registration: registration
      ? (withDefaults(REGISTRATION_DEFAULTS, registration, namesIn('registration')) as ResolvedRegistration)
      : undefined,
    clock: wholeMilliseconds(clock),
    development,
  });
}

/**
 * Whether an issuer is on loopback. An issuer that is missing, or lacks its scheme, must not cause faults about requirements that only
 * other issuers have.
 */
function isDevelopmentIssuer(issuer: unknown): boolean {
  return typeof issuer !== 'string' || isLoopbackUrl(issuer) || isLoopbackUrl(`http://${issuer}`);
}

/** Fills in the defaults of the options and of their groups. */
function withAllDefaults(options: AnyOptions): WithGroups {
  const groups: [GroupName, object][] = GROUPS.map((name) => [
    name,
    withDefaults(DEFAULTS[name], options[name] ?? {}, namesIn(name)),
  ]);
  const all = withDefaults(DEFAULTS, options, namesIn());
  return { ...all, ...Object.fromEntries(groups) } as unknown as WithGroups;
}

function readResources({ resources = [] }: AnyOptions): readonly ResolvedResource[] {
  if (!Array.isArray(resources)) return [];
  // The schema reports an entry that is neither a string nor an object.
  const usable = (resources as readonly unknown[]).filter(
    (resource) => typeof resource === 'string' || (typeof resource === 'object' && resource !== null),
  );
  return usable.map((resource) => resolveResource(resource as string | ResourceOptions));
}

/** Rounds a clock down to whole milliseconds. A clock that does not return a number must not make a token valid forever. */
function wholeMilliseconds(clock: () => number): () => number {
  return () => {
    const now = Math.floor(clock());
    if (!Number.isFinite(now)) throw new TypeError('the clock did not return a number');
    return now;
  };
}
