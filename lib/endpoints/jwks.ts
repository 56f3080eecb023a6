import type { RequestHandler } from 'express';

import { createEndpoint, writeJson, type EndpointFrame } from '../http/endpoint';
import type { SigningKeys } from '../tokens/signing-keys';

/** `GET /jwks`: the public half of every signing key (RFC 7517 §5). */
export function createJwksEndpoint(options: {
  signingKeys: Pick<SigningKeys, 'published'>;
  frame: EndpointFrame;
}): RequestHandler {
  const { signingKeys, frame } = options;
  return createEndpoint(
    frame,
    { name: 'jwks', methods: ['GET'], head: true, cors: true },
    function jwks(_req, res) {
      res.setHeader('Cache-Control', 'public, max-age=300');
      writeJson(res, 200, { keys: signingKeys.published() });
      return Promise.resolve();
    },
  );
}
