import type { RequestHandler } from 'express';

import { createEndpoint, type EndpointFrame, type RespondError } from '../http/endpoint';
import type { Arrive } from './arrive';
import type { Authorize } from './authorize';

/**
 * `GET` and `POST /authorize`, and `/authorize/:provider_id`, where the path names the `connection`.
 *
 * @see RFC 6749 §3.1 and §4.1, RFC 9207
 */
export function createAuthorizationEndpoint(options: {
  arrive: Arrive;
  authorize: Authorize;
  frame: EndpointFrame;
  respondError: RespondError;
}): RequestHandler {
  const { arrive, frame, respondError } = options;

  return createEndpoint(
    frame,
    { name: 'authorize', methods: ['GET', 'POST'], respond: respondError },
    async function authorize(req, res, event) {
      await options.authorize(req, res, await arrive(req, event));
    },
  );
}
