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
  const found = (req: IncomingMessage): object | undefined => metadata.at(targetOf(req), req.headers.host);
  const endpoint = createEndpoint(
    frame,
    { name: 'resource_metadata', methods: ['GET'], head: true, cors: true },
    function resourceMetadata(req, res) {
      res.setHeader('Cache-Control', 'public, max-age=300');
      writeJson(res, 200, found(req) ?? {});
      return Promise.resolve();
    },
  );
  return function resourceMetadata(req: IncomingMessage, res: ServerResponse, next) {
    if (found(req) === undefined) next();
    else void endpoint(req as Request, res as Response, next);
  };
}

/** Returns the path and the query of a request, which may contain the whole URL (RFC 9112 §3.2.2). */
function targetOf({ url = '' }: IncomingMessage): string {
  if (url.startsWith('/') || !URL.canParse(url)) return url;
  const { pathname, search } = new URL(url);
  return pathname + search;
}
