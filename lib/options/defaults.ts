import { PATHS } from '../endpoints/paths';

const DAY = 86_400;

/** The default of every option that has a fixed one. Durations are in seconds. */
export const DEFAULTS = {
  allowHttp: false,
  clients: [],
  metadataDocuments: false,
  registration: false,
  clientHeaders: {},
  clientAssertionAudience: 'issuer_or_endpoint',
  clientAssertionMaximumLength: 4096,
  allowPrivateAddresses: false,
  idTokenClaims: 'scope',
  acrValues: [],
  scopes: {},
  resources: [],
  multipleAudiences: false,
  unknownScopes: 'refuse',
  accessTokenFormat: 'jwt',
  grants: {},
  storeTimeout: 5,
  clock: () => Date.now(),
  lifetimes: {
    authorizationCode: 60,
    accessToken: 3600,
    idToken: 3600,
    consent: 600,
    parkedRequest: 3600,
    pushedRequest: 90,
    federation: 600,
    session: 14 * DAY,
  },
  refreshTokens: {
    issue: 'always',
    rotation: 'always',
    leeway: 30,
    idleLifetime: 30 * DAY,
    absoluteLifetime: 365 * DAY,
  },
  federation: { providers: {}, linkScope: '', linkWithAccessTokens: false, allowPrivateAddresses: false },
  selfAsserted: {},
  outOfBand: {},
  pages: { branding: {} },
  paths: PATHS,
  dpop: { nonce: 'public' },
} as const;

/** The defaults of `registration`, which is off without options of its own. */
export const REGISTRATION_DEFAULTS = {
  open: false,
  limit: 60,
  unusedLifetime: DAY,
  softwareStatementIssuers: {},
} as const;

/** The groups of options. */
export const GROUPS = [
  'lifetimes',
  'refreshTokens',
  'federation',
  'selfAsserted',
  'outOfBand',
  'pages',
  'paths',
  'dpop',
] as const;
export type GroupName = (typeof GROUPS)[number];
