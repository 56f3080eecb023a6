import express, { type Request, type Response } from 'express';

import { OAuthError } from '../errors';
import { parametersOf, type Parameters } from './parameters';

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

const readText = express.text({ type: [FORM, JSON_TYPE], limit: '64kb', defaultCharset: 'utf-8' });

/**
 * The body's parameters, as a form or as a JSON object of strings, whether the host's parsers have read it or not.
 *
 * @throws OAuthError `invalid_request` for any other body
 */
export async function bodyParameters(
  req: Request,
  res: Response,
  options?: { maximumLength: number },
): Promise<Parameters> {
  const body = wasRead(req) ? (req.body as unknown) : await read(req, res);
  if (body === undefined || body === null || body === '') return parametersOf([]);
  refuseForeignType(req);
  if (typeof body === 'string' || Buffer.isBuffer(body))
    return parametersOf(parse(req, body.toString()), options);
  if (typeof body === 'object' && !Array.isArray(body)) return parametersOf(Object.entries(body), options);
  throw new OAuthError('invalid_request', 'The body is not an object');
}

/** body-parser marks what it parsed; other parsers, and serverless hosts, leave a stream that was read. */
function wasRead(req: Request): boolean {
  return ('_body' in req && req._body === true) || req.readableDidRead || req.readableEnded;
}

async function read(req: Request, res: Response): Promise<unknown> {
  if (req.headers['transfer-encoding'] === undefined && !Number(req.headers['content-length']))
    return undefined;
  refuseForeignType(req);
  const before = req.body as unknown;
  await new Promise<void>((resolve, reject) => {
    readText(req, res, (error?: unknown) => {
      if (error) reject(new OAuthError('invalid_request', 'The body cannot be read', { cause: error }));
      else resolve();
    });
  });
  return req.body === before ? undefined : (req.body as unknown);
}

function refuseForeignType(req: Request): void {
  if (!req.is([FORM, JSON_TYPE])) {
    throw new OAuthError('invalid_request', `The content type must be ${FORM} or ${JSON_TYPE}`);
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(req.headers['content-type'] ?? '')?.[1];
  if (charset && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new OAuthError('invalid_request', 'The charset must be UTF-8');
  }
}

function parse(req: Request, text: string): Iterable<readonly [string, unknown]> {
  if (req.is(FORM)) return new URLSearchParams(text);
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
