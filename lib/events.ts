import { EventEmitter } from 'node:events';

import type { OAuthError } from './errors';

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
  'authorization_code.issued': [EventIdentifiers & { scope: string }];
  /** An access token was issued, with or without a refresh token. */
  'token.issued': [
    EventIdentifiers & { grantType: string; scope: string; jti: string; refreshToken: boolean },
  ];
  /** A request was refused. `reason` and `cause` contain what the client was not told. */
  'request.refused': [
    EventIdentifiers & {
      endpoint: string;
      error: string;
      description: string;
      reason?: string | undefined;
      cause?: unknown;
    },
  ];
  /** A code was used again. Its grant was revoked, unless `revoked` is `false`. */
  'authorization_code.replayed': [EventIdentifiers & { revoked: boolean }];
  /** A refresh token was used after its successor. Its grant was revoked: the token was stolen, or its client loses tokens. */
  'refresh_token.reused': [EventIdentifiers & { presentedGeneration: number; generation: number }];
  /** A client presented a newer refresh token than the store has: the store lost writes in a failover. */
  'grant.ahead_of_store': [EventIdentifiers & { presentedGeneration: number; generation: number }];
  /** A grant was ended by its client, by the host, or because a token was replayed. */
  'grant.revoked': [EventIdentifiers & { reason: string }];
  /** A single access token was revoked by its client. */
  'access_token.revoked': [EventIdentifiers & { jti: string }];
  /** A client failed to authenticate. */
  'client_authentication.failed': [EventIdentifiers & { method?: string | undefined; reason: string }];
  /** A user allowed a client on the consent page. */
  'consent.given': [EventIdentifiers & { scope: string }];
  /** A user denied a client on the consent page. */
  'consent.denied': [EventIdentifiers];
  /** A client was notified that a session of its user has ended. */
  'backchannel_logout.sent': [EventIdentifiers];
  /** A client could not be notified: it may still consider its user signed in. */
  'backchannel_logout.failed': [EventIdentifiers & { cause: unknown }];
  /** A user signed in, or linked an account, through an upstream provider. */
  'provider.signed_in': [
    EventIdentifiers & { providerId: string; type: 'authenticate' | 'link'; isNewUser: boolean },
  ];
  /** An upstream provider failed, or its response cannot be trusted. */
  'provider.failed': [EventIdentifiers & { providerId: string; cause: unknown }];
  /** A function of the adapter threw or did not respond within `storeTimeout`. */
  'store.failed': [{ operation: string; cause: unknown }];
  /** A bug, or a hook that threw. The client saw `server_error`. */
  'server.failed': [{ endpoint: string; cause: unknown }];
}

/** The typed event emitter that a router carries as `oauth.events`. */
export type OAuthEvents = Pick<
  EventEmitter<OAuthEventMap>,
  'on' | 'once' | 'off' | 'addListener' | 'removeListener' | 'removeAllListeners' | 'listenerCount'
>;

/** The library's side of the events: every listener is called, even if another one throws. */
export interface EventReporter {
  readonly events: OAuthEvents;
  emit<Name extends keyof OAuthEventMap>(name: Name, event: OAuthEventMap[Name][0]): void;
  /** Emits the event for a request that was refused. */
  refused(endpoint: string, error: OAuthError, subject?: EventIdentifiers): void;
}

export function createEventReporter(): EventReporter {
  const emitter = new EventEmitter<OAuthEventMap>();

  function emit<Name extends keyof OAuthEventMap>(name: Name, event: OAuthEventMap[Name][0]): void {
    if (emitter.listenerCount(name) === 0) return;
    for (const listener of emitter.rawListeners(name)) {
      try {
        const result: unknown = Reflect.apply(listener, emitter, [event]);
        Promise.resolve(result).catch(() => undefined);
      } catch {
        // A listener observes, and must not change the response.
      }
    }
  }

  function refused(endpoint: string, error: OAuthError, subject: EventIdentifiers = {}): void {
    if (error.code === 'server_error') emit('server.failed', { endpoint, cause: error.cause ?? error });
    emit('request.refused', {
      endpoint,
      ...subject,
      error: error.code,
      description: error.description,
      reason: error.reason,
      cause: error.cause,
    });
  }

  return { events: emitter, emit, refused };
}
