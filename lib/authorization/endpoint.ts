import type { Request, RequestHandler } from 'express';

import { createEndpoint, type EndpointFrame, type RespondError } from '../http/endpoint';
import { CONTINUED, queryParameters } from '../http/parameters';
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

/**
 * Whether a browser comes back from the host's login by a redirect. The Content Security Policy of the login page applies to all
 * redirects after its form (`form-action`), and helmet's default would cancel the one to the client: a page in between ends the chain
 * before it leaves the origin.
 */
function comesFromLogin(req: Request): boolean {
  // A frame, which asks nobody, has no form before it, and could not show the page.
  const isVisible = req.get('sec-fetch-mode') === 'navigate' && req.get('sec-fetch-dest') === 'document';
  if (req.method !== 'GET' || !isVisible) return false;
  const query = queryParameters(req.url);
  const isContinued = query.get(CONTINUED) !== undefined || query.faults.has(CONTINUED);
  return query.get(RESUME) !== undefined && !isContinued;
}

function queryOf({ url }: Request): string {
  return url.slice(url.indexOf('?') + 1);
}
