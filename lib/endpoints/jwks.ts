import type { RequestHandler } from 'express';

import { endpoint, writeJson, type EndpointFrame } from '../http/endpoint';
import type { SigningKeys } from '../tokens/signing-keys';

/** `GET /jwks`: the public half of every key (RFC 7517 §5). */
export function jwksEndpoint({ all }: SigningKeys, frame: EndpointFrame): RequestHandler {
  const body = { keys: all.flatMap(({ publicJwk }) => publicJwk ?? []) };
  return endpoint(frame, { name: 'jwks', methods: ['GET'], head: true, cors: true }, (_req, res) => {
    res.setHeader('Cache-Control', 'public, max-age=300');
    writeJson(res, 200, body);
    return Promise.resolve();
  });
}
