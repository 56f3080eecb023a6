import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Request, Response } from 'express';

import { createEndpoint, writeJson, type EndpointFrame } from '../http/endpoint';
import type { TokenMiddleware } from '../resource/require-token';
import type { ResourceMetadata } from '../resource/resource-metadata';

/** Serves the metadata of protected resources, and passes on every other request. @see RFC 9728 §3 */
export function createResourceMetadataEndpoint(
  metadata: Pick<ResourceMetadata, 'at'>,
  frame: EndpointFrame,
): TokenMiddleware {
  const endpoint = createEndpoint(
    frame,
    { name: 'resource_metadata', methods: ['GET'], head: true, cors: true },
    function resourceMetadata(req, res) {
      res.setHeader('Cache-Control', 'public, max-age=300');
      writeJson(res, 200, metadata.at(pathOf(req)) ?? {});
      return Promise.resolve();
    },
  );
  return function resourceMetadata(req: IncomingMessage, res: ServerResponse, next) {
    if (metadata.at(pathOf(req)) === undefined) next();
    else void endpoint(req as Request, res as Response, next);
  };
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '';
}
