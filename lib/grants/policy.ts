import type { Client } from '../clients/client';

/** What a policy, or a hook, may decide by. */
export interface GrantContext {
  readonly client: Client;
  /** `authorization_code` also where the code is made. */
  readonly grantType: string;
  readonly scope: readonly string[];
  readonly resources: readonly string[];
  /** `undefined` where a client acts for itself. */
  readonly userId: string | undefined;
}

/** A value, or a function that gives it for a request. */
export type Policy<T> = T | ((context: GrantContext) => T);

/** The policies with their defaults filled in, and what resources and clients say for themselves. Lifetimes are seconds. */
export interface Policies {
  authorizationCodeLifetime(context: GrantContext): number;
  accessTokenLifetime(context: GrantContext): number;
  accessTokenFormat(context: GrantContext): 'jwt' | 'opaque';
  /** One of them signs. */
  accessTokenAlgorithms(context: GrantContext): readonly string[];
  idTokenLifetime(context: GrantContext): number;
  /** One of them signs ID tokens, authorization responses and logout tokens. */
  idTokenAlgorithms(client: Client): readonly string[];
  refreshTokenIdleLifetime(context: GrantContext): number;
  refreshTokenAbsoluteLifetime(context: GrantContext): number;
  refreshTokenLeeway(context: GrantContext): number;
  refreshTokenRotation(context: GrantContext): 'always' | 'never';
  /** Whether there is a refresh token. */
  refreshTokens(context: GrantContext): boolean;
  consentLifetime(context: GrantContext): number;
  parkedRequestLifetime(context: GrantContext): number;
  pushedRequestLifetime(context: GrantContext): number;
  sessionLifetime(context: GrantContext): number;
  federationLifetime(context: GrantContext): number;
}
