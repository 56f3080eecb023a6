import type { RequestHandler } from 'express';

import type { EventReporter } from '../events';
import { endpoint, writeJson } from '../http/endpoint';
import type { SigningKeys } from '../tokens/signing-keys';

/** `GET /jwks`: the public half of every key (RFC 7517 §5). */
export function jwksEndpoint({ all }: SigningKeys, reporter: EventReporter): RequestHandler {
  const body = { keys: all.map(({ publicJwk }) => publicJwk) };
  return endpoint({ name: 'jwks', methods: ['GET'], head: true, cors: true, reporter }, (_req, res) => {
    res.setHeader('Cache-Control', 'public, max-age=300');
    writeJson(res, 200, body);
    return Promise.resolve();
  });
}
