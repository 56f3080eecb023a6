import type { Request, RequestHandler } from 'express';

import { createEndpoint, type EndpointFrame, type RespondError } from '../http/endpoint';
import { queryParameters } from '../http/parameters';
import { continuePage } from '../pages/continue';
import type { Page } from '../pages/layout';
import type { Arrive } from './arrive';
import type { Authorize } from './authorize';
import { RESUME } from './resuming';

/**
 * `GET` and `POST /authorize`, and `/authorize/:provider_id`, where the path names the `connection`.
 *
 * @see RFC 6749 §3.1 and §4.1, RFC 9207
 */
export function createAuthorizationEndpoint(options: {
  arrive: Arrive;
  authorize: Authorize;
  page: Page;
  frame: EndpointFrame;
  respondError: RespondError;
}): RequestHandler {
  const { arrive, page, frame, respondError } = options;

  return createEndpoint(
    frame,
    { name: 'authorize', methods: ['GET', 'POST'], respond: respondError },
    async function authorize(req, res, event) {
      if (comesFromLogin(req)) return page(res, 200, continuePage(`?${queryOf(req)}&${CONTINUED}=1`));
      await options.authorize(req, res, await arrive(req, event));
    },
  );
}

/** Marks a request that was continued by a page of this server. */
const CONTINUED = 'continued';

/**
 * Whether a browser comes back from the host's login by a redirect. The Content Security Policy of the login page applies to all
 * redirects after its form (`form-action`), and helmet's default would cancel the one to the client: a page in between ends the chain
 * before it leaves the origin.
 */
function comesFromLogin(req: Request): boolean {
  if (req.method !== 'GET' || req.get('sec-fetch-mode') !== 'navigate') return false;
  const query = queryParameters(req.url);
  return query.get(RESUME) !== undefined && query.get(CONTINUED) === undefined;
}

function queryOf({ url }: Request): string {
  return url.slice(url.indexOf('?') + 1);
}
