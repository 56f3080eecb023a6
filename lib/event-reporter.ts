import { EventEmitter } from 'node:events';

import { OAuthError } from './errors';
import { quietly, type EventLog } from './event-log';
import { printable } from './printable';
import type { EventIdentifiers, OAuthEventMap } from './events';

/** A listener for every event. */
export type AnyListener = <Name extends keyof OAuthEventMap>(
  name: Name,
  event: OAuthEventMap[Name][0],
) => unknown;

/** The typed event emitter that a router carries as `oauth.events`. */
export interface OAuthEvents extends Pick<
  EventEmitter<OAuthEventMap>,
  'on' | 'once' | 'off' | 'addListener' | 'removeListener' | 'removeAllListeners' | 'listenerCount'
> {
  /** Adds a listener for every event, those of later versions included. */
  onAny(listener: AnyListener): this;
  /** Removes a listener that `onAny` added. */
  offAny(listener: AnyListener): this;
}

/** The library's side of the events: every listener is called, even if another one throws. */
export interface EventReporter {
  readonly events: OAuthEvents;
  emit<Name extends keyof OAuthEventMap>(name: Name, event: OAuthEventMap[Name][0]): void;
  /** Emits `server.failed` with the cause behind the error that the client sees. */
  failed(endpoint: string, thrown: unknown): void;
  /** Emits the event for a request that was refused. */
  refused(endpoint: string, error: OAuthError, identifiers?: EventIdentifiers): void;
  /** Tells the operator of a mistake in the host's setup. */
  warn(text: string): void;
}

export function createEventReporter(log: EventLog): EventReporter {
  const emitter = new EventEmitter<OAuthEventMap>();
  const anyListeners = new Set<AnyListener>();

  function emit<Name extends keyof OAuthEventMap>(name: Name, given: OAuthEventMap[Name][0]): void {
    const isHeard = emitter.listenerCount(name) + anyListeners.size > 0;
    const isWritten = log.writes(name, isHeard);
    if (!isHeard && !isWritten) return;
    const event = printableEvent(given);
    if (isWritten) log.write(name, { ...event });
    const listeners = emitter.rawListeners(name);
    for (const listener of listeners) quietly(() => Reflect.apply(listener, emitter, [event]));
    for (const listener of anyListeners) quietly(() => listener(name, event));
  }

  function failed(endpoint: string, thrown: unknown): void {
    const cause = thrown instanceof OAuthError ? (thrown.cause ?? thrown) : thrown;
    emit('server.failed', { endpoint, cause });
  }

  function refused(endpoint: string, error: OAuthError, identifiers: EventIdentifiers = {}): void {
    if (error.code === 'server_error') failed(endpoint, error);
    emit('request.refused', {
      endpoint,
      ...identifiers,
      error: error.code,
      description: error.description,
      reason: error.reason,
      cause: error.cause,
    });
  }

  const events: OAuthEvents = Object.assign(emitter, {
    onAny: (listener: AnyListener) => {
      anyListeners.add(listener);
      return events;
    },
    offAny: (listener: AnyListener) => {
      anyListeners.delete(listener);
      return events;
    },
  });
  return { events, emit, failed, refused, warn: (text) => log.warn(text) };
}

/** Makes the texts of an event printable. */
function printableEvent<Event extends object>(event: Event): Event {
  const entries = Object.entries(event).map(([name, value]: [string, unknown]) => [
    name,
    typeof value === 'string' ? printable(value) : value,
  ]);
  return Object.fromEntries(entries) as Event;
}
