export { createOAuthRouter, type OAuthRouter } from './router';
export type { OAuthRouterOptions } from './options';
export { OAuthConfigurationError, OAuthError, type OAuthErrorOptions } from './errors';
export type { EventSubject, OAuthEventMap, OAuthEvents } from './events';

export type {
  Adapter,
  ClientAuthenticationMethodName,
  ClientMetadata,
  Consent,
  StoredGrant,
} from './adapters/contract';
export { memoryAdapter, type MemoryAdapterOptions } from './adapters/memory';
export {
  redisAdapter,
  type RedisAdapter,
  type RedisAdapterOptions,
  type RedisClient,
} from './adapters/redis';

export type { ClientCertificate, ClientCertificateOf } from './clients/certificate';
export type { Client, ClientOptions } from './clients/client';
export type { ClientHeaders } from './clients/identification';
export type { NoncePolicy } from './clients/proof-of-possession';
export { generateClientSecret, hashClientSecret } from './clients/secrets';

export type { ConsentContext, ConsentHandler } from './endpoints/consent';
export type { EndSession } from './endpoints/logout';
export type { HeaderSubject } from './endpoints/out-of-band';
export type { ResolveUser } from './endpoints/provider-sign-in';
export type { Authenticate, LoginContext, LoginUrl } from './endpoints/sign-in';
export {
  accountAlreadyLinked,
  accountLinking,
  type AccountLinkingOptions,
  type EmailStrategy,
} from './federation/account-linking';
export type { ProviderIdentity } from './federation/identity';
export { providerPresets } from './federation/presets';
export {
  oauth2Provider,
  oidcProvider,
  type ClaimNames,
  type OAuth2ProviderOptions,
  type OidcProviderOptions,
  type Provider,
  type Userinfo,
} from './federation/provider';
export type { ProviderTokens } from './federation/provider-tokens';
export type { ResolveUserContext } from './federation/resolve-user';
export type { AnonymousSubject } from './grants/anonymous-subject';
export type { ResourceOptions } from './grants/audiences';
export type { ExtensionGrant, ExtensionGrantContext, ExtensionGrantDecision } from './grants/extension';
export type { FederationFacts } from './grants/grant';
export type { GrantContext, Policy } from './grants/policy';
export type {
  BeforeIssueToken,
  ClaimsContext,
  ClaimsHook,
  LoadUser,
  TokenResponseContext,
  TokenResponseHook,
} from './grants/token-issuer';
export type { OAuthUser } from './grants/user';
export type { UserClaimsContext, UserClaimsHook } from './grants/user-claims';
export type { FormatError, RateLimit, RequestGuard } from './http/endpoint';
export type { GrantInfo, IssueAccessTokenOptions, Operations } from './operations';
export type { ErrorPageHandler } from './pages/error';
export type { Branding } from './pages/layout';
export type { AccessTokenInfo, RequireToken, RequireTokenOptions } from './resource/require-token';
export {
  createTokenVerifier,
  type TokenVerifier,
  type TokenVerifierOptions,
} from './resource/token-verifier';
export type { AccessTokenClaims, AccessTokenFormat, Confirmation } from './tokens/access-token';
export type { AccessTokenAlgorithm, SigningAlgorithm } from './tokens/algorithms';
export type { SigningJwk, SigningKeyInput } from './tokens/signing-keys';
