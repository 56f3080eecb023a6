import type { RequestHandler } from 'express';

import type { EventReporter } from '../events';
import { endpoint, writeJson } from '../http/endpoint';
import type { SigningKey } from '../tokens/signing-keys';

/** `GET /jwks`: the public half of every key (RFC 7517 §5). */
export function jwksEndpoint(keys: readonly SigningKey[], reporter: EventReporter): RequestHandler {
  const body = { keys: keys.map(({ publicJwk }) => publicJwk) };
  return endpoint({ name: 'jwks', methods: ['GET'], head: true, cors: true, reporter }, (_req, res) => {
    res.setHeader('Cache-Control', 'public, max-age=300');
    writeJson(res, 200, body);
    return Promise.resolve();
  });
}
