import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';

import type { Request } from 'express';

import { invalidRequest, type OAuthError } from '../errors';
import { isDeep, isJsonObject, parseJson } from '../json';
import { createBoundedBuffer } from './bounded-buffer';
import { parametersOf, queryParameters, refuseFaults, refuseSecrets, type Parameters } from './parameters';

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';
/** A multiple of the longest request of the protocol. */
const MAXIMUM_BODY_BYTES = 65_536;

/**
 * Returns the parameters of a POST request: from the body alone, each once, and with no secret in the query.
 *
 * @throws OAuthError `invalid_request`
 */
export async function formParameters(req: Request, options?: { maximumLength: number }): Promise<Parameters> {
  refuseSecrets(queryParameters(req.url));
  const parameters = await bodyParameters(req, options);
  refuseFaults(parameters);
  return parameters;
}

/**
 * Returns the parameters in the body, a form or a JSON object of strings, whether the host's parsers have read it or not.
 *
 * @throws OAuthError `invalid_request` for any other body
 */
export async function bodyParameters(req: Request, options?: { maximumLength: number }): Promise<Parameters> {
  const body = wasRead(req) ? hostsBody(req) : await read(req);
  if (body === undefined || body === null || body === '') return parametersOf([]);
  if (typeof body === 'string' || Buffer.isBuffer(body)) {
    return parametersOf(parse(body.toString(), mediaType(req.headers)), options);
  }
  if (isJsonObject(body)) return parametersOf(Object.entries(body), options);
  throw invalidRequest('The body is not an object');
}

/** Returns the body as a JSON object, whether the host's parsers have read it or not. @throws OAuthError `invalid_request` */
export async function jsonBody(req: Request): Promise<Readonly<Record<string, unknown>>> {
  const body = wasRead(req) ? hostsBody(req) : await read(req);
  if (body === undefined || mediaType(req.headers) !== JSON_TYPE)
    throw invalidRequest(`The body must be ${JSON_TYPE}`);
  const isText = typeof body === 'string' || Buffer.isBuffer(body);
  const value = isText ? parseJson(body.toString()) : body;
  if (!isJsonObject(value) || isDeep(value)) throw invalidRequest('The body is not a plain JSON object');
  return value;
}

/** Whether the host has read the body: body-parser marks it, and with other parsers and serverless hosts the stream was read. */
function wasRead(req: Request): boolean {
  return ('_body' in req && req._body === true) || req.readableDidRead || req.readableEnded;
}

function hostsBody(req: Request): unknown {
  if (req.body !== undefined) refuseForeignType(req.headers);
  return req.body as unknown;
}

/** Reads the body without body-parser, which would cost more than everything else in a token request. */
function read(req: Request): Promise<string> | undefined {
  const { headers } = req;
  if (headers['transfer-encoding'] === undefined && !Number(headers['content-length'])) return undefined;
  refuseForeignType(headers);
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw invalidRequest('The body must not be compressed');
  }
  if (Number(headers['content-length']) > MAXIMUM_BODY_BYTES) throw tooLong();
  return textOf(req);
}

function textOf(req: Request): Promise<string> {
  return new Promise((resolve, reject) => {
    const body = createBoundedBuffer(MAXIMUM_BODY_BYTES);
    req.on('data', (chunk: Buffer) => {
      // The rest is read and discarded, so that the client can read the response.
      if (!body.append(chunk)) reject(tooLong());
    });
    req.on('end', () => {
      const bytes = body.bytes();
      if (isUtf8(bytes)) resolve(bytes.toString());
      else reject(invalidRequest('The body is not UTF-8'));
    });
    req.on('error', (cause) => {
      reject(invalidRequest('The body was cut off', { cause }));
    });
  });
}

function tooLong(): OAuthError {
  return invalidRequest('The body is too long');
}

function refuseForeignType(headers: IncomingHttpHeaders): void {
  const type = mediaType(headers);
  if (type !== FORM && type !== JSON_TYPE) {
    throw invalidRequest(`The content type must be ${FORM} or ${JSON_TYPE}`);
  }
  if (headers['content-type'] === type) return;
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(headers['content-type'] ?? '')?.[1];
  if (charset && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw invalidRequest('The charset must be UTF-8');
  }
}

function mediaType(headers: IncomingHttpHeaders): string {
  const given = headers['content-type'] ?? '';
  return given === FORM ? FORM : (given.split(';', 1)[0]?.trim().toLowerCase() ?? '');
}

function parse(text: string, type: string): Iterable<readonly [string, unknown]> {
  if (type === FORM) return new URLSearchParams(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalidRequest('The body is not valid JSON');
  }
  if (!isJsonObject(value)) throw invalidRequest('The body is not a JSON object');
  // JSON.parse keeps the last of two equal names. Where all values are strings, a string before a colon is a name.
  const names = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)].filter(([, colon]) => colon !== undefined);
  if (names.length > Object.keys(value).length) throw invalidRequest('A parameter is repeated');
  return Object.entries(value);
}
