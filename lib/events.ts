/** The client, user and grant that an event concerns. No event contains a token, a code or a secret. */
export interface EventIdentifiers {
  /** The client. */
  clientId?: string | undefined;
  /** The user. */
  userId?: string | undefined;
  /** The grant. */
  grantId?: string | undefined;
}

/** The events of `oauth.events`, by name. A listener that throws or rejects has no effect on the request. */
export interface OAuthEventMap {
  /** An authorization code was issued. */
  'authorization_code.issued': [EventIdentifiers & ScopeEvent];
  /** An access token was issued, with or without a refresh token. */
  'token.issued': [EventIdentifiers & ScopeEvent & TokenEvent];
  /** A request was refused. `reason` and `cause` contain details that the client did not receive. */
  'request.refused': [EventIdentifiers & RefusalEvent];
  /** A code was used again. Its grant was revoked, unless `revoked` is `false`. */
  'authorization_code.replayed': [EventIdentifiers & ReplayEvent];
  /**
   * A replaced refresh token was used outside the leeway. Its grant was revoked: the token was stolen, or its client loses
   * tokens.
   */
  'refresh_token.reused': [EventIdentifiers & GenerationsEvent];
  /** A refresh token of another server was used for the first time, and replaced by one of this server. */
  'refresh_token.imported': [EventIdentifiers];
  /**
   * The previous refresh token was used again within the leeway, and yielded the same successor: its client did not receive the
   * response or refreshed twice at once, or somebody else has the token too.
   */
  'refresh_token.repeated': [EventIdentifiers & GenerationsEvent];
  /** A client presented a newer refresh token than the store has: the store lost writes in a failover. */
  'grant.ahead_of_store': [EventIdentifiers & GenerationsEvent];
  /** A grant was ended by its client or by the host, or because its code or token was misused. */
  'grant.revoked': [EventIdentifiers & ReasonEvent];
  /** A single access token was revoked by its client. */
  'access_token.revoked': [EventIdentifiers & TokenIdEvent];
  /** A client failed to authenticate. */
  'client_authentication.failed': [EventIdentifiers & ReasonEvent & AuthenticationEvent];
  /** The metadata document of a client was refused: what is at its URL is not what it should be. */
  'metadata_document.refused': [EventIdentifiers & ReasonEvent];
  /** A client registered itself, or the host has created one. */
  'client.registered': [EventIdentifiers];
  /** A client changed its registration, or the host has changed one. */
  'client.updated': [EventIdentifiers];
  /** A client deleted its registration, or the host has deleted one. */
  'client.deleted': [EventIdentifiers];
  /** A user allowed a client on the consent page. */
  'consent.given': [EventIdentifiers & ScopeEvent];
  /** A user denied a client on the consent page. */
  'consent.denied': [EventIdentifiers];
  /** A client was notified that a session of its user has ended. */
  'backchannel_logout.sent': [EventIdentifiers];
  /** A client could not be notified: it may still consider its user signed in. */
  'backchannel_logout.failed': [EventIdentifiers & FailureEvent];
  /** A user signed in, or linked an account, through an upstream provider. */
  'provider.signed_in': [EventIdentifiers & ProviderSignInEvent];
  /** An upstream provider failed, or its response cannot be trusted. */
  'provider.failed': [EventIdentifiers & ProviderEvent & FailureEvent];
  /** A function of the adapter threw, did not respond within `storeTimeout`, or listed an invalid record. */
  'store.failed': [StoreEvent & FailureEvent];
  /** A bug, or a hook that failed. The client saw `server_error`, or the original error if `formatError` failed. */
  'server.failed': [EndpointEvent & FailureEvent];
}

/** The scope of an event. */
export interface ScopeEvent {
  /** The scope values, separated by spaces. */
  scope: string;
}

/** The access token of an event. */
export interface TokenIdEvent {
  /** The id of the access token. */
  jti: string;
}

/** The tokens that were issued. */
export interface TokenEvent extends TokenIdEvent {
  /** The grant type of the request. */
  grantType: string;
  /** Whether a refresh token was issued too. */
  refreshToken: boolean;
}

/** The reason of an event. */
export interface ReasonEvent {
  /** A short text for the operator. */
  reason: string;
}

/** The underlying cause of a failure. */
export interface FailureEvent {
  /** The exception. */
  cause: unknown;
}

/** The endpoint where a failure occurred. */
export interface EndpointEvent {
  /** The name of the endpoint; `resource` for `requireToken`, and `formatError` if that hook failed. */
  endpoint: string;
}

/** The refusal of a request. */
export interface RefusalEvent extends EndpointEvent {
  /** The value of `error`. */
  error: string;
  /** The value of `error_description`. */
  description: string;
  /** A short text for the operator. */
  reason?: string | undefined;
  /** The exception, if there was one. */
  cause?: unknown;
}

/** The replay of a code. */
export interface ReplayEvent {
  /** Whether the grant was revoked. */
  revoked: boolean;
}

/** The generations of a refresh token. */
export interface GenerationsEvent {
  /** The generation of the token that was presented. */
  presentedGeneration: number;
  /** The generation in the store. */
  generation: number;
}

/** The method of client authentication. */
export interface AuthenticationEvent {
  /** The method, if it is known. */
  method?: string | undefined;
}

/** The provider of an event. */
export interface ProviderEvent {
  /** The provider's id in the options. */
  providerId: string;
}

/** A sign-in through a provider. */
export interface ProviderSignInEvent extends ProviderEvent {
  /** Whether the user signed in or linked an account. */
  type: 'authenticate' | 'link';
  /** Whether the host created the account. */
  isNewUser: boolean;
}

/** A function of the adapter. */
export interface StoreEvent {
  /** The name of the function. */
  operation: string;
}
