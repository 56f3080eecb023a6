import { isUtf8 } from 'node:buffer';

import type { Request } from 'express';

import { OAuthError } from '../errors';
import { parametersOf, type Parameters } from './parameters';

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';
/** Bytes; the longest request of the protocol is a fraction of it. */
const MAXIMUM_LENGTH = 65_536;

/**
 * The body's parameters, as a form or as a JSON object of strings, whether the host's parsers have read it or not.
 *
 * @throws OAuthError `invalid_request` for any other body
 */
export async function bodyParameters(req: Request, options?: { maximumLength: number }): Promise<Parameters> {
  const body = wasRead(req) ? hostsBody(req) : await read(req);
  if (body === undefined || body === null || body === '') return parametersOf([]);
  if (typeof body === 'string' || Buffer.isBuffer(body)) {
    return parametersOf(parse(req, body.toString()), options);
  }
  if (typeof body === 'object' && !Array.isArray(body)) return parametersOf(Object.entries(body), options);
  throw new OAuthError('invalid_request', 'The body is not an object');
}

/** body-parser marks what it parsed; other parsers, and serverless hosts, leave a stream that was read. */
function wasRead(req: Request): boolean {
  return ('_body' in req && req._body === true) || req.readableDidRead || req.readableEnded;
}

function hostsBody(req: Request): unknown {
  if (req.body !== undefined) refuseForeignType(req);
  return req.body as unknown;
}

/** As it came. body-parser would do more here than all the rest of a token request. */
async function read(req: Request): Promise<string | undefined> {
  const { headers } = req;
  if (headers['transfer-encoding'] === undefined && !Number(headers['content-length'])) return undefined;
  refuseForeignType(req);
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new OAuthError('invalid_request', 'The body must not be compressed');
  }
  if (Number(headers['content-length']) > MAXIMUM_LENGTH) throw tooLong();
  const bytes = await bytesOf(req);
  if (!isUtf8(bytes)) throw new OAuthError('invalid_request', 'The body is not UTF-8');
  return bytes.toString();
}

function bytesOf(req: Request): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    req.on('data', (chunk: Buffer) => {
      length += chunk.length;
      // What comes after that is thrown away, so that the client gets to read the answer.
      if (length > MAXIMUM_LENGTH) reject(tooLong());
      else chunks.push(chunk);
    });
    req.on('end', () => {
      resolve(Buffer.concat(chunks));
    });
    req.on('error', (cause) => {
      reject(new OAuthError('invalid_request', 'The body was cut off', { cause }));
    });
  });
}

function tooLong(): OAuthError {
  return new OAuthError('invalid_request', 'The body is too long');
}

function refuseForeignType(req: Request): void {
  if (![FORM, JSON_TYPE].includes(mediaType(req))) {
    throw new OAuthError('invalid_request', `The content type must be ${FORM} or ${JSON_TYPE}`);
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(req.headers['content-type'] ?? '')?.[1];
  if (charset && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new OAuthError('invalid_request', 'The charset must be UTF-8');
  }
}

function mediaType({ headers }: Request): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function parse(req: Request, text: string): Iterable<readonly [string, unknown]> {
  if (mediaType(req) === FORM) return new URLSearchParams(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new OAuthError('invalid_request', 'The body is not valid JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new OAuthError('invalid_request', 'The body is not a JSON object');
  }
  // JSON.parse lets the last of two equal names win. Where all values are strings, what stands before a colon is a name.
  const names = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)].filter(([, colon]) => colon !== undefined);
  if (names.length > Object.keys(value).length) {
    throw new OAuthError('invalid_request', 'A parameter is repeated');
  }
  return Object.entries(value);
}
