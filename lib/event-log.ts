import type { OAuthEventMap } from './events';

/**
 * A log, for example `console` or a logger of pino. Each function gets an object with the facts of an event and a message for
 * people. An exception in `err` is the cause of a failure.
 */
export interface Logger {
  /** Failures of the server, the host's functions and the store. */
  error(facts: object, message: string): void;
  /** Events that may be attacks, or failures of others. */
  warn(facts: object, message: string): void;
  /** Everything else that happens once for each user or client. */
  info(facts: object, message: string): void;
  /** Codes and tokens that were issued. */
  debug(facts: object, message: string): void;
}

type EventName = keyof OAuthEventMap;
/** The members of any event that the log mentions. */
type AnyEvent = Readonly<Record<string, unknown>>;

const FAILURES: readonly EventName[] = ['server.failed', 'store.failed'];
const LEVELS: Partial<Record<EventName, keyof Logger>> = {
  'server.failed': 'error',
  'store.failed': 'error',
  'authorization_code.replayed': 'warn',
  'refresh_token.reused': 'warn',
  'grant.ahead_of_store': 'warn',
  'client_authentication.failed': 'warn',
  'metadata_document.refused': 'warn',
  'provider.failed': 'warn',
  'backchannel_logout.failed': 'warn',
  'authorization_code.issued': 'debug',
  'token.issued': 'debug',
};

/** Where events are written. */
export interface EventLog {
  /** Whether an event is written. `isHeard` is whether something listens to it. */
  writes(name: EventName, isHeard: boolean): boolean;
  write(name: EventName, event: AnyEvent): void;
  /** Writes a mistake in the host's setup. */
  warn(text: string): void;
}

/**
 * Creates the log. Without a logger, failures are written on stderr, as Express does with errors that nothing handles; in development,
 * refusals and their reasons too.
 */
export function createEventLog({
  logger,
  development,
}: {
  logger: Logger | false | undefined;
  development: boolean;
}): EventLog {
  if (logger) {
    return {
      writes: () => true,
      write: (name, { cause, ...facts }) => {
        const all = { event: name, ...facts, ...(cause !== undefined && { err: cause }) };
        quietly(() => logger[LEVELS[name] ?? 'info'](all, messageOf(name, { cause, ...facts })));
      },
      warn: (text) => quietly(() => logger.warn({}, text)),
    };
  }
  const names = development ? [...FAILURES, 'request.refused'] : FAILURES;
  const isSilent = (): boolean => logger === false || process.env.NODE_ENV === 'test';
  return {
    writes: (name, isHeard) => !isHeard && names.includes(name) && !isSilent(),
    write: (name, event) => {
      const text = `express-oauth-router: ${messageOf(name, event)}${FAILURES.includes(name) ? `\n${stackOf(event.cause)}` : ''}`;
      // eslint-disable-next-line no-console -- nothing else would show the operator the failure
      console.error(text);
    },
    warn: (text) => {
      if (logger !== false) process.emitWarning(`express-oauth-router: ${text}`);
    },
  };
}

/** Says what happened, in one line. */
function messageOf(name: EventName, event: AnyEvent): string {
  const texts = event as Partial<Record<string, string>>;
  const { endpoint, operation, clientId, error, description, reason } = texts;
  const place = endpoint ?? operation;
  const parts = [
    name,
    place && `(${place})`,
    clientId && `client ${clientId}`,
    error && `${error}: ${description ?? ''}`,
    reason && `[${reason}]`,
  ];
  return parts.filter(Boolean).join(' ');
}

/** Returns the stack alone: the other members of an exception may contain credentials. */
function stackOf(cause: unknown): string {
  try {
    return String(cause instanceof Error ? (cause.stack ?? cause.message) : cause);
  } catch {
    // A host may throw an object that cannot be converted to a string.
    return typeof cause;
  }
}

/** Calls a function of the host that observes: whether it throws or rejects, it must not change the response or end the process. */
export function quietly(call: () => unknown): void {
  try {
    Promise.resolve(call()).catch(() => undefined);
  } catch {
    // Its exception is the host's own.
  }
}
