import { createStore, type Store } from './adapters/store';
import { createArrive } from './authorization/arrive';
import { createAuthorize } from './authorization/authorize';
import { createIssueCode } from './authorization/code';
import { createCompletedRequests, type Completion } from './authorization/completed-requests';
import { createConsentStep } from './authorization/consent';
import { createConsentQuestion, type ConsentForm } from './authorization/consent-question';
import { createDepartureConsent } from './authorization/departure-consent';
import { createInteract } from './authorization/interact';
import { createFindHeaderSubject } from './authorization/out-of-band';
import { createProviderDeparture } from './authorization/provider-departure';
import { createProviderReturn, type LinkForm } from './authorization/provider-return';
import { createProviderTransactions, type ProviderTransaction } from './authorization/provider-transactions';
import { createFindUpstream } from './authorization/providers';
import { createPushedRequests, type PushedRequest } from './authorization/pushed-requests';
import { createFindTarget, RESPONSE_MODES } from './authorization/redirect-target';
import type { PendingRequest } from './authorization/progress';
import { createValidate, grantContext, type AuthorizationRequest } from './authorization/request';
import { createRequestObjects } from './authorization/request-object';
import { createRespond } from './authorization/respond';
import { createSendToClient } from './authorization/response';
import { createResuming, type ParkedEntries, type ResumeSeal } from './authorization/resuming';
import { createSignIn } from './authorization/sign-in';
import { createClientAuthentication } from './clients/authentication';
import { createCertificateReader } from './clients/certificate';
import { scopeValues } from './clients/client';
import { createClientChecker } from './clients/client-checks';
import { createClientManager } from './clients/client-manager';
import { createClientIdentification } from './clients/identification';
import { createKeepClient } from './clients/keep-client';
import { createClientKeySets } from './clients/key-sets';
import { createDocumentReader } from './clients/metadata-document';
import { createMetadataDocuments } from './clients/metadata-documents';
import { createProofOfPossession } from './clients/proof-of-possession';
import { createClientRegistry } from './clients/registry';
import { createSelfAssertedClients } from './clients/self-asserted';
import { createClientSecretSealer } from './clients/secret-sealer';
import { createVerifySecret } from './clients/secret-verifier';
import { createCheckSector } from './clients/sector-identifier';
import type { MetadataFacts } from './endpoints/metadata';
import { endpointUrl, type EndpointName } from './endpoints/paths';
import { createTokenEngine } from './engine';
import { createEventLog } from './event-log';
import { createEventReporter, type EventReporter } from './event-reporter';
import { createBrowserBinding } from './federation/browser-binding';
import { createProviderTokenStore, type StoredProviderTokens } from './federation/provider-tokens';
import { createUpstream } from './federation/upstream';
import { createTokenStatus } from './grants/status';
import { createUserLoader } from './host/load-user';
import { createUserClaims } from './host/user-claims';
import { createEndpointFrame } from './http/endpoint';
import { createOutbound, type Outbound } from './http/outbound';
import { createLinkTokens } from './linking/link-token';
import { createLinkTickets, type LinkTicketContent } from './linking/tickets';
import type { LogoutForm } from './logout/endpoint';
import { createReadLogoutRequest } from './logout/request';
import { createSignOut } from './logout/sign-out';
import { createClientFaults } from './options/clients';
import type { ResolvedOptions } from './options/resolve';
import { createErrorResponder } from './pages/error';
import { createPage } from './pages/layout';
import { createAudiences } from './policy/audiences';
import { knownScopesOf, selfAssertedScopeOf } from './policy/known-scopes';
import { createPolicies } from './policy/policies';
import { createTokenAlgorithms } from './policy/token-algorithms';
import { createRegistration } from './registration/registration';
import { createRequestUrl } from './resource/request-url';
import { createReadRequirements } from './resource/requirements';
import { createResourceMetadata } from './resource/resource-metadata';
import { createTokenCheck } from './resource/token-check';
import { createAnonymousSubjects } from './token/anonymous-subject';
import { createAuthorizationCodeGrant } from './token/authorization-code';
import { createClientCredentialsGrant } from './token/client-credentials';
import { createExtensionGrant } from './token/extension-grant';
import type { GrantType } from './token/grant-type';
import { createIdTokenIssuer } from './token/id-token';
import { createImportedRefreshTokens } from './token/imported-refresh-token';
import { createTokenIssuer } from './token/issuer';
import { createRefreshTokenGrant } from './token/refresh-token';
import { createAccessTokens } from './tokens/access-token';
import { createDpopNonces } from './tokens/dpop';
import { createGrantTokens } from './tokens/grant-token';
import { createIdTokens } from './tokens/id-token';
import { createAuthenticator, createSealer, deriveKeys } from './tokens/keys';
import { createSealedJson, type SealedJson } from './tokens/sealed-json';
import { createSubjects } from './tokens/subject';

/** Every part of an authorization server. Endpoints and operations take the few parts that they need. */
export type Server = ReturnType<typeof createServer>;

/** Creates each part once, in the order in which they need each other. */
export function createServer(options: ResolvedOptions) {
  const base = createBase(options);
  const clients = createClientParts(options, base);
  const tokens = createTokenParts(options, base);
  const checks = createTokenChecks(options, base, clients, tokens);
  const federation = createFederationParts(options, base, tokens);
  const authorization = createAuthorizationParts(options, base, clients, tokens, checks, federation);
  warnAboutAlgorithms(options, base);
  const { responseModes } = authorization;
  const registration =
    options.registration &&
    createRegistration({ ...options, ...base, ...clients, registration: options.registration });
  const metadataFacts = createMetadataFacts(options, base, clients, tokens, responseModes);
  return {
    ...options,
    ...base,
    ...clients,
    ...tokens,
    ...checks,
    ...federation,
    ...authorization,
    registration,
    metadataFacts,
  };
}

/** Development has an RSA key; without one in production, most OpenID Connect clients refuse the ID tokens (OpenID Connect Core §15.1). */
function warnAboutAlgorithms({ signingKeys }: ResolvedOptions, { registry, reporter }: Base): void {
  const { algorithms } = signingKeys;
  if (algorithms.length === 0 || algorithms.includes('RS256')) return;
  const surprised = registry.fixed.filter(
    ({ client }) =>
      client.scope.includes('openid') &&
      !client.fapi &&
      client.metadata.idTokenSignedResponseAlg === undefined,
  );
  if (surprised.length === 0) return;
  const names = surprised.map(({ client }) => client.clientId).join(', ');
  reporter.warn(
    `ID tokens for ${names} are signed with ${algorithms[0] ?? ''}, but most clients expect RS256: add a key for it ` +
      '(npx express-oauth-router init prints one), or name another algorithm as idTokenSignedResponseAlg',
  );
}

/** Creates the storage, the registry, the events and the pages, and derives keys from the secrets. */
function createBase(options: ResolvedOptions) {
  const { issuer, secrets, clock, pages, paths, development, signingKeys } = options;
  const reporter = createEventReporter(createEventLog(options));
  const frame = createEndpointFrame({ ...options, reporter });
  const store = createStore(options.adapter, {
    timeout: options.storeTimeout,
    clock: options.clock,
    reporter,
  });
  const page = createPage(pages.branding);
  // A shared secret signs access tokens only.
  const hasIdTokens = signingKeys.algorithms.length > 0;
  const fetch = createOutbound({
    allowPrivateAddresses: options.allowPrivateAddresses,
    concurrency: { all: 100, ofOrigin: 10 },
  });
  return {
    url: (name: EndpointName): string => endpointUrl(issuer, paths[name]),
    /** http is for development only. */
    allowHttp: development,
    reporter,
    frame,
    store,
    fetch,
    hasIdTokens,
    ...createClientLookup(options, { store, fetch, reporter, hasIdTokens }),
    page,
    respondError: createErrorResponder(page, frame, pages.error),
    sealed: <T>(purpose: string): SealedJson<T> =>
      createSealedJson(createSealer(deriveKeys(secrets, purpose, issuer)), clock),
  };
}
type Base = ReturnType<typeof createBase>;

interface ClientLookupOptions {
  store: Store;
  fetch: Outbound;
  reporter: EventReporter;
  hasIdTokens: boolean;
}

/** Creates the registry, and what it knows of clients that introduce themselves. */
function createClientLookup(
  options: ResolvedOptions,
  { store, fetch, reporter, hasIdTokens }: ClientLookupOptions,
) {
  const { selfAsserted, metadataDocuments, allowPrivateAddresses, clock, development: allowHttp } = options;
  const checkSector = createCheckSector(fetch);
  const features = {
    signs: options.signingKeys.has,
    hasCertificates: options.clientCertificate !== undefined,
    hasPairwiseSubjects: options.pairwiseSecret !== undefined,
    hasSessions: options.adapter.listGrants !== undefined,
  };
  const foreignHashes = options.verifyClientSecret !== undefined;
  const described = selfAssertedScopeOf({ ...options, hasIdTokens });
  const scope = selfAsserted.scope === undefined ? described : scopeValues(selfAsserted.scope);
  const selfAssertedClients = createSelfAssertedClients({
    scope,
    unknownScopes: options.unknownScopes,
    approve: selfAsserted.approve,
    check: createClientChecker({ allowHttp, strict: false, abortEarly: true }),
    checkStrictly: createClientChecker({ allowHttp, strict: true }),
    checkSector,
    features,
  });
  const documents =
    metadataDocuments &&
    createMetadataDocuments({
      documents: createDocumentReader({
        clients: selfAssertedClients,
        scope,
        outbound: { allowPrivateAddresses },
        clock,
      }),
      allow: metadataDocuments.allow,
      allowHttp,
      clock,
      reporter,
    });
  const { clients } = options;
  return {
    selfAssertedClients,
    checkSector,
    clientFaults: createClientFaults({ allowHttp, foreignHashes, features, grants: options.grants }),
    registry: createClientRegistry({
      clients,
      store,
      documents,
      selfAssertedScope: scope,
      check: createClientChecker({
        allowHttp,
        foreignHashes,
        strict: false,
      }),
    }),
  };
}

/** Creates the parts that identify and authenticate clients and check their proofs of possession. */
function createClientParts(options: ResolvedOptions, base: Base) {
  const { issuer, secrets, clock, clientCertificate, dpop } = options;
  const { url, registry, reporter, store, fetch } = base;
  const keySetOf = createClientKeySets({ fetch, clock });
  const certificateOf = createCertificateReader(clientCertificate);
  const identification = createClientIdentification(options.clientHeaders);
  const clientSecretSealer = createClientSecretSealer(secrets, issuer);
  const authentication = createClientAuthentication({
    issuer,
    endpointUrls: options.clientAssertionAudience === 'issuer' ? [] : [url('token'), url('par')],
    identification,
    registry,
    keySetOf,
    clientSecretSealer,
    verifySecret: createVerifySecret({ verifyForeign: options.verifyClientSecret, store }),
    certificateOf,
    hasCertificates: clientCertificate !== undefined,
    clientAssertionMaximumLength: options.clientAssertionMaximumLength,
    store,
    clock,
    reporter,
  });
  const possession = createProofOfPossession({
    nonces: createDpopNonces(secrets, issuer, clock),
    noncePolicy: dpop.nonce,
    setOnce: (key, ttl) => store.setOnce(key, ttl),
    certificateOf,
    clock,
  });
  const clientManager = createClientManager({
    store,
    faultsOf: base.clientFaults,
    isFixed: (clientId) => registry.fixed.some(({ client }) => client.clientId === clientId),
    checkSector: base.checkSector,
    sealer: clientSecretSealer,
    clock,
    reporter,
  });
  return { keySetOf, identification, clientSecretSealer, authentication, possession, clientManager };
}
type ClientParts = ReturnType<typeof createClientParts>;

/** Creates the policies, tokens and grant types. */
function createTokenParts(options: ResolvedOptions, base: Base) {
  const { issuer, secrets, signingKeys, clock, grants, outOfBand } = options;
  const { store, reporter, registry, hasIdTokens } = base;
  const tokenAlgorithms = createTokenAlgorithms(options.resources, signingKeys);
  const policies = createPolicies({ ...options, tokenAlgorithms });
  const knownScopes = knownScopesOf({ ...options, clients: registry.fixed, hasIdTokens });
  const audiences = createAudiences({ ...options, hasIdTokens, knownScopes });
  const types = new Map(
    options.resources.map(({ identifier, accessTokenType }) => [identifier, accessTokenType]),
  );
  const accessTokens = createAccessTokens(signingKeys, secrets, {
    issuer,
    isShared: tokenAlgorithms.isShared,
    typeOf: (audience) => types.get(audience) ?? 'at+jwt',
  });
  const idTokens = createIdTokens(signingKeys, issuer);
  const subjects = createSubjects(options.pairwiseSecret);
  const grantTokens = createGrantTokens(secrets, issuer);
  const loadUser = createUserLoader(options.loadUser, reporter);
  const userClaims = createUserClaims(options.userClaims, options);
  const issue = createTokenIssuer({
    issuer,
    accessTokens,
    issueIdToken: createIdTokenIssuer({ idTokens, subjects, userClaims, policies }),
    audiences,
    policies,
    loadUser,
    hooks: options,
    clock,
  });
  const anonymousSubjects = createAnonymousSubjects(outOfBand.anonymousSubject);
  const keepClient = createKeepClient(store);
  const findImported = options.refreshTokens.import;
  const importedRefreshTokens =
    findImported &&
    createImportedRefreshTokens(findImported, { issuer, store, audiences, policies, clock, reporter });
  const parts = {
    store,
    grantTokens,
    issue,
    audiences,
    policies,
    anonymousSubjects,
    keepClient,
    importedRefreshTokens,
    clock,
    reporter,
  };
  const grantTypes = byName([
    createAuthorizationCodeGrant(parts),
    createRefreshTokenGrant(parts),
    createClientCredentialsGrant(parts),
    ...Object.entries(grants).map(([name, decide]) => createExtensionGrant(name, decide, parts)),
  ]);
  return {
    ...parts,
    tokenAlgorithms,
    knownScopes,
    accessTokens,
    idTokens,
    subjects,
    loadUser,
    userClaims,
    status: createTokenStatus({ store, registry, accessTokens, clock }),
    grantTypes,
    engine: createTokenEngine([...grantTypes.keys()]),
  };
}
type TokenParts = ReturnType<typeof createTokenParts>;

/** Creates the checks of access tokens at this server's own endpoints and at the host's API. */
function createTokenChecks(
  { issuer, clock, dpop, defaultAudience, resources, acrValues }: ResolvedOptions,
  { url, reporter }: Base,
  { possession }: ClientParts,
  { accessTokens, status, audiences }: TokenParts,
) {
  const described = [...resources, { identifier: defaultAudience }].map((resource) => ({
    ...resource,
    requiresDpop: audiences.requireDpop([resource.identifier]),
  }));
  const resourceMetadata = createResourceMetadata(described, issuer);
  const knownAcr = new Set(acrValues);
  const common = {
    read: (token: string) => accessTokens.read(token),
    possession,
    requireNonce: dpop.nonce === 'always',
    clock,
  };
  return {
    apiCheck: createTokenCheck({ ...common, urlOf: dpop.resourceUrl ?? createRequestUrl(issuer) }),
    userinfoCheck: createTokenCheck({
      ...common,
      // Tokens for any audience are accepted, but those signed with a shared secret only if this server shares it.
      read: (token) => accessTokens.read(token, defaultAudience),
      urlOf: () => url('userinfo'),
    }),
    linkTicketCheck: createTokenCheck({ ...common, urlOf: () => url('linkTickets') }),
    readRequirements: createReadRequirements({
      defaultAudience,
      registered: (audience) => audiences.registered(audience),
      warn: (source, audience) => {
        if (audiences.isKnown(audience)) return;
        reporter.warn(`${source} requires the audience ${audience}, which is not among the "resources"`);
      },
      statusOf: (claims) => status(claims),
      knownAcr,
      factsOf: (audience) => ({
        resourceMetadata: resourceMetadata.urlOf(audience),
        requiresDpop: audiences.requireDpop([audience]),
      }),
    }),
    resourceMetadata,
    knownAcr,
  };
}

type TokenChecks = ReturnType<typeof createTokenChecks>;

/** Creates the upstream providers, and the parts that link accounts at them. */
function createFederationParts(options: ResolvedOptions, base: Base, tokens: TokenParts) {
  const { issuer, secrets, clock, federation, defaultAudience } = options;
  const { url, store, reporter, sealed, allowHttp } = base;
  const { accessTokens, status, loadUser } = tokens;
  const { providers, defaultProvider, linkScope, linkWithAccessTokens, resolveUser } = federation;
  const { allowPrivateAddresses } = federation;
  const upstreams = new Map(
    [...providers].map(([id, provider]) => {
      const redirectUri = `${url('callback')}/${id}`;
      return [id, createUpstream(id, provider, { redirectUri, allowHttp, allowPrivateAddresses, clock })];
    }),
  );
  const binding = createBrowserBinding(createAuthenticator(deriveKeys(secrets, 'browser', issuer)), {
    https: issuer.startsWith('https:'),
  });
  const linkTickets = createLinkTickets({
    issuer,
    sealed: sealed<LinkTicketContent>('link ticket'),
    store,
    clock,
  });
  const linkTokens = createLinkTokens({
    issuer,
    defaultAudience,
    linkScope,
    linkWithAccessTokens,
    linkTickets,
    accessTokens,
    status,
    loadUser,
  });
  return {
    providers,
    defaultProvider,
    resolveUser,
    linkScope,
    binding,
    linkTickets,
    linkTokens,
    findUpstream: createFindUpstream(upstreams, reporter),
    transactions: createProviderTransactions({
      binding,
      sealed: sealed<ProviderTransaction>('federation'),
      store,
    }),
    providerTokens: createProviderTokenStore({
      upstreams,
      sealed: sealed<StoredProviderTokens>('provider tokens'),
      store,
      clock,
      reporter,
    }),
  };
}
type FederationParts = ReturnType<typeof createFederationParts>;

/** Creates the steps of an authorization request, and logout. */
function createAuthorizationParts(
  options: ResolvedOptions,
  base: Base,
  clients: ClientParts,
  tokens: TokenParts,
  { knownAcr }: TokenChecks,
  federation: FederationParts,
) {
  const { issuer, clock, loginUrl, outOfBand, signingKeys } = options;
  const { url, registry, sealed, hasIdTokens } = base;
  const { subjects, idTokens, policies } = tokens;
  const parts = { ...options, ...base, ...clients, ...tokens, ...federation };
  const responseModes = RESPONSE_MODES.filter((mode) => hasIdTokens || !mode.endsWith('jwt'));
  const completed = createCompletedRequests({ ...parts, sealed: sealed<Completion>('completed request') });
  const resuming = createResuming({
    completed,
    authorizeUrl: url('authorize'),
    asPath: typeof loginUrl === 'string' && loginUrl.startsWith('/'),
    sealed: sealed<ResumeSeal>('resumption'),
    sealedEntries: sealed<ParkedEntries>('parked request'),
    store: base.store,
  });
  const pushedRequests = createPushedRequests({ ...parts, sealed: sealed<PushedRequest>('pushed request') });
  const requestObjects = createRequestObjects(parts);
  const consentForms = sealed<ConsentForm>('consent');
  const findTarget = createFindTarget({ ...parts, responseModes });
  const validate = createValidate({ ...parts, responseModes });
  const question = createConsentQuestion({ ...parts, consentUrl: url('consent'), consentForms, resuming });
  const interact = createInteract({
    findHeaderSubject: createFindHeaderSubject({
      headerSubject: outOfBand.headerSubject,
      hasAnonymousSubjects: outOfBand.anonymousSubject !== undefined,
      subjects,
      clock,
    }),
    departureConsent: createDepartureConsent({ ...parts, question }),
    providerDeparture: createProviderDeparture(parts),
    signIn: createSignIn({ ...parts, resuming, knownAcr }),
    consent: createConsentStep({ ...parts, question }),
    issueCode: createIssueCode({ ...parts, completed, pushedRequests }),
  });
  const respond = createRespond({
    ...parts,
    sendToClient: createSendToClient({ issuer, signingKeys, policies, clock }),
    consentHandler: options.pages.consent,
  });
  const reloadUrl = async (pending: PendingRequest, request: AuthorizationRequest): Promise<string> => {
    const parked = await resuming.park(pending, { once: false });
    return resuming.url(parked, policies.parkedRequestLifetime(grantContext(request)));
  };
  const linkForms = sealed<LinkForm>('link');
  const providerReturn = createProviderReturn({ ...parts, linkUrl: url('link'), linkForms });
  return {
    responseModes,
    resuming,
    pushedRequests,
    requestObjects,
    consentForms,
    linkForms,
    findTarget,
    validate,
    arrive: createArrive({ ...parts, resuming, pushedRequests, requestObjects }),
    interact,
    authorize: createAuthorize({
      ...parts,
      findTarget,
      providerReturn,
      validate,
      reloadUrl,
      interact,
      respond,
    }),
    logoutForms: sealed<LogoutForm>('logout'),
    readLogoutRequest: createReadLogoutRequest({ registry, idTokens }),
    signOut: createSignOut(parts),
  };
}

function createMetadataFacts(
  options: ResolvedOptions,
  { url, hasIdTokens }: Base,
  { authentication }: ClientParts,
  { grantTypes, knownScopes }: TokenParts,
  responseModes: readonly string[],
): MetadataFacts {
  return {
    issuer: options.issuer,
    url,
    grantTypes: [...grantTypes.keys()],
    scopes: [...knownScopes],
    authenticationMethods: authentication.methods,
    signingAlgorithms: options.signingKeys.algorithms,
    responseModes,
    hasUserClaims: options.userClaims !== undefined,
    hasPairwise: options.pairwiseSecret !== undefined,
    hasLogout: options.endSession !== undefined,
    hasBackchannelLogout: hasIdTokens && options.adapter.listGrants !== undefined,
    hasCertificates: options.clientCertificate !== undefined,
    acrValues: options.acrValues,
    hasRegistration: options.registration !== undefined,
    hasMetadataDocuments: options.metadataDocuments !== undefined,
  };
}

function byName(grantTypes: readonly GrantType[]): ReadonlyMap<string, GrantType> {
  return new Map(grantTypes.map((grantType) => [grantType.name, grantType]));
}
