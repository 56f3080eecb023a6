import type { Request, Response } from 'express';

import type { OAuthError } from '../errors';
import { callHost } from '../host/call';
import { endUnfinished, setRetryAfter, type EndpointFrame, type RespondError } from '../http/endpoint';
import { html } from './html';
import { protectPage, type Page, type PageContent } from './layout';

/** Shows a host's own error page, for errors that must not be redirected. It answers the request; the status is already set. */
export type ErrorPageHandler = (req: Request, res: Response, error: OAuthError) => unknown;

/** Sends errors that must not be redirected: as a page to browsers, as JSON to programs. */
export function createErrorResponder(
  page: Page,
  { sendError, reporter }: Pick<EndpointFrame, 'sendError' | 'reporter'>,
  handler: ErrorPageHandler | undefined,
): RespondError {
  return async (req, res, error) => {
    // A browser prefers HTML; a client that accepts anything is a program.
    if (req.accepts(['json', 'html']) === 'json') return sendError(req, res, error);
    setRetryAfter(res, error);
    if (handler) {
      protectPage(res);
      res.status(error.status);
      const isShown = await show(() => handler(req, res, error));
      if (isShown) return;
      if (res.headersSent) return endUnfinished(res);
    }
    page(res, error.status, errorPage(error));
  };

  /** Shows the host's page. Returns `false` if it fails, which must not leave the user without a page. */
  async function show(call: () => unknown): Promise<boolean> {
    try {
      await callHost(call);
      return true;
    } catch (thrown) {
      reporter.failed('pages.error', thrown);
      return false;
    }
  }
}

function errorPage({ code, description, status }: OAuthError): PageContent {
  const title = status < 500 ? 'This request cannot be completed' : 'Something went wrong';
  const advice =
    status < 500
      ? 'Go back to the app that sent you here and start again. If that does not help, send the text below to the makers of the app.'
      : 'This is not your fault. Please try again in a moment.';
  return {
    title,
    body: html`<h1>${title}</h1>
      <p>${advice}</p>
      <p class="quiet">${description} (<code>${code}</code>)</p>`,
  };
}

/** Creates the page for a browser that the host's login sent straight back: another redirect to the login would be a loop. */
export function notSignedInPage(signInUrl: string): PageContent {
  return {
    title: 'You are not signed in',
    body: html`<h1>You are not signed in</h1>
      <p>
        You came back from the sign-in page, but you are not signed in. Cookies may be blocked, or the sign-in
        was not completed.
      </p>
      <p><a class="button primary" href="${signInUrl}">Sign in</a></p>`,
  };
}
