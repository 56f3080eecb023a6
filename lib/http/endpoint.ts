import corsMiddleware from 'cors';
import type { NextFunction, Request, RequestHandler, Response } from 'express';

import { asOAuthError, invalidClient, invalidRequest, OAuthError, serverError } from '../errors';
import type { EventReporter } from '../event-reporter';
import type { EventIdentifiers } from '../events';
import { callHost, callHostSync, refusePromises, type Awaitable } from '../host/call';
import { isJsonObject } from '../json';
import { noStore } from './redirect';

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';
/** Handles a request. It adds the client, user and grant to `event` as it finds them, for the event of a refusal. */
type Handle = (req: Request, res: Response, event: EventIdentifiers) => Promise<void>;
/** Sends an error. */
export type RespondError = (req: Request, res: Response, error: OAuthError) => Awaitable<void>;

export interface EndpointOptions {
  /** The name in stack traces and events, and the `endpoint` that the host's functions receive. */
  name: string;
  /** The methods that are served; any other method is refused with 405. GET includes HEAD only with `head`. */
  methods: readonly Method[];
  head?: boolean;
  /** Whether any origin may call the endpoint, without credentials. */
  cors?: boolean;
  /** Sends errors; as JSON unless set. */
  respond?: RespondError;
}

/** Limits requests. Returns the seconds to wait, which responds 429 with `Retry-After`, or nothing. */
export type RateLimit = (
  req: Request,
  context: { readonly endpoint: string },
) => Awaitable<number | undefined | null>;

/**
 * Guards every endpoint. `true` admits a request; any other result refuses it with 401 `invalid_client`. To refuse with another
 * error, throw an `OAuthError`.
 */
export type RequestGuard = (req: Request, context: { readonly endpoint: string }) => Awaitable<boolean>;

/** Returns further members of an error's JSON body. It cannot replace the error's own members, such as `error`. */
export type FormatError = (error: OAuthError, req: Request) => Readonly<Record<string, unknown>> | undefined;

/** The parts that all endpoints share. */
export interface EndpointFrame {
  readonly reporter: EventReporter;
  /** Calls the host's `rateLimit` and `requestGuard`, if it has one. @throws OAuthError for a request that they refuse */
  readonly admit: ((req: Request, endpoint: string) => Promise<void>) | undefined;
  /** Sends an error as JSON (RFC 6749 §5.2). */
  readonly sendError: RespondError;
}

export function createEndpointFrame(options: {
  reporter: EventReporter;
  rateLimit: RateLimit | undefined;
  requestGuard: RequestGuard | undefined;
  formatError: FormatError | undefined;
}): EndpointFrame {
  const { reporter, rateLimit, requestGuard, formatError } = options;

  async function admit(req: Request, endpoint: string): Promise<void> {
    await limit(req, endpoint);
    const admitted: unknown = requestGuard ? await callHost(() => requestGuard(req, { endpoint })) : true;
    if (admitted !== true) throw invalidClient('The request was refused', { reason: 'requestGuard' });
  }

  async function limit(req: Request, endpoint: string): Promise<void> {
    const retryAfter = rateLimit && (await callHost(() => rateLimit(req, { endpoint })));
    if (retryAfter === undefined || retryAfter === null) return;
    if (!Number.isFinite(retryAfter) || retryAfter < 0) {
      throw serverError(new TypeError('rateLimit must return a number of seconds, or nothing'));
    }
    throw new OAuthError('too_many_requests', 'Too many requests', { retryAfter });
  }

  /** Returns the host's members, or none if its function fails: the client must learn of the original error. */
  function hostMembers(error: OAuthError, req: Request): object {
    try {
      const given: unknown = formatError && callHostSync('formatError', () => formatError(error, req));
      if (given === undefined || given === null) return {};
      refusePromises(given, 'formatError');
      if (!isJsonObject(given)) throw new TypeError('formatError must return an object');
      const { toJSON: _, ...members } = given;
      return JSON.parse(JSON.stringify(members)) as object;
    } catch (thrown) {
      reporter.failed('formatError', thrown);
      return {};
    }
  }

  return {
    reporter,
    admit: rateLimit || requestGuard ? admit : undefined,
    sendError: (req, res, error) => {
      const body = errorBody(error);
      sendBody(res, error, { ...hostMembers(error, req), ...body });
    },
  };
}

/** Headers of a response that failed, which do not fit the plain 500 in its place. */
const STALE_HEADERS = ['Content-Length', 'ETag', 'Retry-After', 'WWW-Authenticate'];
const EXPOSED_HEADERS = 'DPoP-Nonce, WWW-Authenticate';

/** Creates an endpoint: its methods, CORS, and the one place where an exception becomes a response and an event. */
export function createEndpoint(
  frame: EndpointFrame,
  options: EndpointOptions,
  handle: Handle,
): RequestHandler {
  const { reporter, admit } = frame;
  const { name, respond = frame.sendError } = options;
  const allowed: string[] = [...options.methods, ...(options.head ? ['HEAD'] : [])];
  const preflight = corsMiddleware({ origin: '*', methods: allowed, maxAge: 3600 });
  const allow = [...allowed, ...(options.cors ? ['OPTIONS'] : [])].join(', ');

  async function answer(req: Request, res: Response, method: string): Promise<void> {
    const event: EventIdentifiers = {};
    try {
      if (!allowed.includes(method)) {
        res.setHeader('Allow', allow);
        const error = invalidRequest(`The method must be one of ${allow}`, { status: 405 });
        return await frame.sendError(req, res, error);
      }
      await admit?.(req, name);
      await handle(req, res, event);
    } catch (thrown) {
      await answerError(req, res, thrown, event);
    }
  }

  /** Reports and sends an error; a plain 500 if a hook's error, or a setting of the host's app, makes that impossible. */
  async function answerError(
    req: Request,
    res: Response,
    thrown: unknown,
    event: EventIdentifiers,
  ): Promise<void> {
    try {
      const error = asOAuthError(thrown);
      reporter.refused(name, error, event);
      if (res.headersSent) endUnfinished(res);
      else await respond(req, res, error);
    } catch (cause) {
      reporter.refused(name, serverError(cause));
      if (res.headersSent) return endUnfinished(res);
      for (const header of STALE_HEADERS) res.removeHeader(header);
      res.statusCode = 500;
      res.setHeader('Content-Type', 'application/json');
      res.end('{"error":"server_error"}');
    }
  }

  const handler = (req: Request, res: Response, next: NextFunction): void => {
    // Each look at a request or response counts: with Express on Node 20 and 22, each of them has a hidden class of its own.
    const { method } = req;
    // The host's middleware may have opened every route to other origins, with credentials.
    res.removeHeader('Access-Control-Allow-Credentials');
    if (options.cors) {
      if (method === 'OPTIONS') return preflight(req, res, next);
      res.setHeader('Access-Control-Allow-Origin', '*');
      res.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS);
    } else {
      res.removeHeader('Access-Control-Allow-Origin');
    }
    void answer(req, res, method);
  };
  return Object.defineProperty(handler, 'name', { value: name });
}

/**
 * Ends a response that a hook began before it failed. A response that it completed remains; the client of an incomplete one must not
 * wait for the rest.
 */
export function endUnfinished(res: Response): void {
  if (!res.writableEnded) res.destroy();
}

function sendBody(res: Response, error: OAuthError, body: object): void {
  noStore(res);
  if (error.challenge) res.setHeader('WWW-Authenticate', error.challenge);
  setRetryAfter(res, error);
  writeJson(res, error.status, body);
}

/** RFC 9110 §10.2.3 */
export function setRetryAfter(res: Response, { retryAfter }: OAuthError): void {
  if (retryAfter !== undefined) res.setHeader('Retry-After', String(Math.ceil(retryAfter)));
}

function errorBody(error: OAuthError): Record<string, unknown> {
  return {
    ...error.members,
    error: error.code,
    error_description: error.description,
    ...(error.uri === undefined ? {} : { error_uri: error.uri }),
  };
}

/** Sends a JSON body that no cache keeps. */
export function sendJson(res: Response, body: Readonly<Record<string, unknown>>, status = 200): void {
  noStore(res);
  writeJson(res, status, body);
}

/** Writes JSON without `res.json()`, which adds an ETag and follows the app's settings for its own JSON. */
export function writeJson(res: Response, status: number, body: object): void {
  const text = JSON.stringify(body);
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  res.setHeader('Content-Length', Buffer.byteLength(text));
  res.end(res.req.method === 'HEAD' ? undefined : text);
}
