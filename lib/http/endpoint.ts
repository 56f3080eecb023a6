import corsMiddleware from 'cors';
import type { NextFunction, Request, RequestHandler, Response } from 'express';

import { asOAuthError, OAuthError, serverError } from '../errors';
import type { EventReporter, EventSubject } from '../events';
import { isPlainObject, refusePromises } from '../hooks';
import { noStore } from './redirect';

type Method = 'GET' | 'POST';
/** `subject` is for the event of a refusal: a handler fills in whose request it is as it finds out. */
type Handle = (req: Request, res: Response, subject: EventSubject) => Promise<void>;
type ErrorResponse = (req: Request, res: Response, error: OAuthError) => void;

export interface EndpointOptions {
  /** As stack traces, events and the host's functions call it. */
  name: string;
  /** GET brings HEAD along only if `head` says so. Any other method is 405. */
  methods: readonly Method[];
  head?: boolean;
  /** Any origin may call it, without credentials. */
  cors?: boolean;
  /** How an error is answered; as JSON unless said. */
  respond?: ErrorResponse;
}

/** The host's limiter: gives the seconds to wait, or nothing for a request that may pass. */
export type RateLimit = (
  req: Request,
  context: { readonly endpoint: string },
) => number | undefined | null | Promise<number | undefined | null>;

/**
 * The host's own door, before every endpoint: `true` lets a request pass, anything else is 401 `invalid_client`. It may throw
 * an `OAuthError` of its own.
 */
export type RequestGuard = (
  req: Request,
  context: { readonly endpoint: string },
) => boolean | Promise<boolean>;

/** Further members of the JSON body of an error. It has no say in `error` and `error_description`. */
export type FormatError = (error: OAuthError, req: Request) => Readonly<Record<string, unknown>> | undefined;

/** What all endpoints have in common. */
export interface EndpointFrame {
  readonly reporter: EventReporter;
  /** @throws OAuthError for a request that the host does not let in */
  admit(req: Request, endpoint: string): Promise<void>;
  /** RFC 6749 §5.2 */
  readonly sendError: ErrorResponse;
}

export function endpointFrame(options: {
  reporter: EventReporter;
  rateLimit: RateLimit | undefined;
  requestGuard: RequestGuard | undefined;
  formatError: FormatError | undefined;
}): EndpointFrame {
  const { reporter, rateLimit, requestGuard, formatError } = options;

  async function admit(req: Request, endpoint: string): Promise<void> {
    await limit(req, endpoint);
    const passes: unknown = requestGuard ? await requestGuard(req, { endpoint }) : true;
    if (passes !== true) {
      throw new OAuthError('invalid_client', 'The request was refused', { reason: 'requestGuard' });
    }
  }

  async function limit(req: Request, endpoint: string): Promise<void> {
    const retryAfter = await rateLimit?.(req, { endpoint });
    if (retryAfter === undefined || retryAfter === null) return;
    if (!Number.isFinite(retryAfter) || retryAfter < 0) {
      throw serverError(new TypeError('rateLimit must give a number of seconds, or nothing'));
    }
    throw new OAuthError('too_many_requests', 'Too many requests', { retryAfter });
  }

  /** What the host adds; without it if its function fails, because a client must learn of its error. */
  function membersOf(error: OAuthError, req: Request): object {
    try {
      const given: unknown = formatError?.(error, req);
      if (given === undefined || given === null) return {};
      refusePromises(given, 'formatError');
      if (!isPlainObject(given)) throw new TypeError('formatError must give an object');
      const { toJSON: _, ...members } = given;
      return JSON.parse(JSON.stringify(members)) as object;
    } catch (cause) {
      reporter.emit('server.failed', { endpoint: 'formatError', cause });
      return {};
    }
  }

  return {
    reporter,
    admit,
    sendError: (req, res, error) => {
      const body = errorBody(error);
      sendBody(res, error, { ...membersOf(error, req), ...body });
    },
  };
}

const EXPOSED_HEADERS = 'DPoP-Nonce, WWW-Authenticate';
const preflight = corsMiddleware({ origin: '*', methods: ['GET', 'HEAD', 'POST'], maxAge: 3600 });

/** An endpoint: methods, CORS, and one place where whatever is thrown becomes a response and an event. */
export function endpoint(frame: EndpointFrame, options: EndpointOptions, handle: Handle): RequestHandler {
  const { reporter, admit } = frame;
  const { name, respond = frame.sendError } = options;
  const allowed: string[] = [...options.methods, ...(options.head ? ['HEAD'] : [])];
  const allow = [...allowed, ...(options.cors ? ['OPTIONS'] : [])].join(', ');

  async function answer(req: Request, res: Response): Promise<void> {
    const subject: EventSubject = {};
    try {
      if (!allowed.includes(req.method)) {
        res.setHeader('Allow', allow);
        const description = `The method must be one of ${allow}`;
        return frame.sendError(req, res, new OAuthError('invalid_request', description, { status: 405 }));
      }
      await admit(req, name);
      await handle(req, res, subject);
    } catch (thrown) {
      const error = asOAuthError(thrown);
      reporter.refused(name, error, subject);
      // A hook that has answered, and failed afterwards, keeps its answer.
      if (!res.headersSent) answerError(req, res, error);
    }
  }

  /** What a hook put into its error, or a host into its app, may be what cannot be sent. */
  function answerError(req: Request, res: Response, error: OAuthError): void {
    try {
      respond(req, res, error);
    } catch (cause) {
      reporter.refused(name, serverError(cause));
      if (res.headersSent) return void res.destroy();
      res.statusCode = 500;
      res.setHeader('Content-Type', 'application/json');
      res.end('{"error":"server_error"}');
    }
  }

  const handler = (req: Request, res: Response, next: NextFunction): void => {
    // Middleware of the host may have opened every route, with credentials.
    res.removeHeader('Access-Control-Allow-Origin');
    res.removeHeader('Access-Control-Allow-Credentials');
    if (options.cors) {
      if (req.method === 'OPTIONS') return preflight(req, res, next);
      res.setHeader('Access-Control-Allow-Origin', '*');
      res.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS);
    }
    void answer(req, res);
  };
  return Object.defineProperty(handler, 'name', { value: name });
}

/** RFC 6749 §5.2. */
export function sendError(_req: Request, res: Response, error: OAuthError): void {
  sendBody(res, error, errorBody(error));
}

function sendBody(res: Response, error: OAuthError, body: object): void {
  noStore(res);
  if (error.challenge) res.setHeader('WWW-Authenticate', error.challenge);
  if (error.retryAfter !== undefined) res.setHeader('Retry-After', String(Math.ceil(error.retryAfter)));
  writeJson(res, error.status, body);
}

function errorBody(error: OAuthError): Record<string, unknown> {
  return {
    ...error.members,
    error: error.code,
    error_description: error.description,
    ...(error.uri === undefined ? {} : { error_uri: error.uri }),
  };
}

/** A JSON body that no cache keeps. */
export function sendJson(res: Response, body: Readonly<Record<string, unknown>>): void {
  noStore(res);
  writeJson(res, 200, body);
}

/** Not by res.json(): an ETag of tokens is for nobody, and the app's settings for its own JSON are not for ours. */
export function writeJson(res: Response, status: number, body: object): void {
  const text = JSON.stringify(body);
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  res.setHeader('Content-Length', Buffer.byteLength(text));
  res.end(res.req.method === 'HEAD' ? undefined : text);
}
