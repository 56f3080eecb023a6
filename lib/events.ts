import { EventEmitter } from 'node:events';

import type { OAuthError } from './errors';

/** Whose grant or request an event is about. Identifiers only: no event ever holds a token, a code or a secret. */
export interface EventSubject {
  clientId?: string | undefined;
  userId?: string | undefined;
  grantId?: string | undefined;
}

/** The events of `oauth.events`, by name. A listener that throws, or rejects, changes nothing. */
export interface OAuthEventMap {
  /** An authorization code was issued. */
  'authorization_code.issued': [EventSubject & { scope: string }];
  /** An access token was issued, with a refresh token or without. */
  'token.issued': [EventSubject & { grantType: string; scope: string; jti: string; refreshToken: boolean }];
  /** A request was refused. `reason` and `cause` say what the client was not told. */
  'request.refused': [
    EventSubject & {
      endpoint: string;
      error: string;
      description: string;
      reason?: string | undefined;
      cause?: unknown;
    },
  ];
  /** A code was used again: its grant was revoked, unless `revoked` is false. */
  'authorization_code.replayed': [EventSubject & { revoked: boolean }];
  /** A refresh token was used again after its successor: its grant was revoked. */
  'refresh_token.reused': [EventSubject & { presentedGeneration: number; generation: number }];
  /** A client held a newer refresh token than the store: the store lost writes in a failover. */
  'grant.ahead_of_store': [EventSubject & { presentedGeneration: number; generation: number }];
  /** A grant was ended: by its client, by the host, or by the rules on replay. */
  'grant.revoked': [EventSubject & { reason: string }];
  /** A single access token was revoked by its client. */
  'access_token.revoked': [EventSubject & { jti: string }];
  /** A client failed to authenticate. */
  'client_authentication.failed': [EventSubject & { method?: string | undefined; reason: string }];
  /** A user allowed a client on the consent page. */
  'consent.given': [EventSubject & { scope: string }];
  /** A user denied a client on the consent page. */
  'consent.denied': [EventSubject];
  /** A client was told that a session of its user has ended. */
  'backchannel_logout.sent': [EventSubject];
  /** A client could not be told: it may still take its user for signed in. */
  'backchannel_logout.failed': [EventSubject & { cause: unknown }];
  /** A user has signed in, or linked an account, through an upstream provider. */
  'provider.signed_in': [
    EventSubject & { providerId: string; type: 'authenticate' | 'link'; isNewUser: boolean },
  ];
  /** An upstream provider failed, or its answer cannot be trusted. */
  'provider.failed': [EventSubject & { providerId: string; cause: unknown }];
  /** A function of the adapter threw or did not answer within `storeTimeout`. */
  'store.failed': [{ operation: string; cause: unknown }];
  /** A bug, or a hook that threw: the client saw `server_error`. */
  'server.failed': [{ endpoint: string; cause: unknown }];
}

/** The typed event emitter that a router carries as `oauth.events`. */
export type OAuthEvents = Pick<
  EventEmitter<OAuthEventMap>,
  'on' | 'once' | 'off' | 'addListener' | 'removeListener' | 'removeAllListeners' | 'listenerCount'
>;

/** The library's side: emits to every listener, whatever the others do. */
export interface EventReporter {
  readonly events: OAuthEvents;
  emit<Name extends keyof OAuthEventMap>(name: Name, event: OAuthEventMap[Name][0]): void;
  /** One event for whatever a request died of. */
  refused(endpoint: string, error: OAuthError, subject?: EventSubject): void;
}

export function eventReporter(): EventReporter {
  const emitter = new EventEmitter<OAuthEventMap>();

  function emit<Name extends keyof OAuthEventMap>(name: Name, event: OAuthEventMap[Name][0]): void {
    if (emitter.listenerCount(name) === 0) return;
    for (const listener of emitter.rawListeners(name)) {
      try {
        const result: unknown = Reflect.apply(listener, emitter, [event]);
        Promise.resolve(result).catch(() => undefined);
      } catch {
        // A listener observes; it has no say in what the client gets.
      }
    }
  }

  function refused(endpoint: string, error: OAuthError, subject: EventSubject = {}): void {
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
