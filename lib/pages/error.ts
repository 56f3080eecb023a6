import type { Request, Response } from 'express';

import type { OAuthError } from '../errors';
import type { EndpointFrame } from '../http/endpoint';
import { html, type Html } from './html';
import { protectPage, type Page } from './layout';

/** A host's own error page, for what must not be redirected. It answers the request. */
export type ErrorPageHandler = (req: Request, res: Response, error: OAuthError) => unknown;

/** An error that must not be redirected: a page for people, JSON for programs. */
export function errorResponse(page: Page, { sendError }: EndpointFrame, handler?: ErrorPageHandler) {
  return (req: Request, res: Response, error: OAuthError): void => {
    // A browser says that it wants a page; whoever takes anything is a program.
    if (req.accepts(['json', 'html']) === 'json') return sendError(req, res, error);
    if (error.retryAfter !== undefined) res.setHeader('Retry-After', String(Math.ceil(error.retryAfter)));
    const builtIn = (): void => {
      if (!res.headersSent) page(res, error.status, errorPage(error));
    };
    if (!handler) return builtIn();
    protectPage(res);
    res.status(error.status);
    // One that fails must not leave the user without a page.
    const answer = async (): Promise<void> => {
      await handler(req, res, error);
    };
    answer().catch(builtIn);
  };
}

function errorPage({ code, description, status }: OAuthError): { title: string; body: Html } {
  const title = status < 500 ? 'This request cannot be completed' : 'Something went wrong';
  const advice =
    status < 500
      ? 'Go back to the app that sent you here and start again. If that does not help, tell the people who make it what stands below.'
      : 'This is not your fault. Please try again in a moment.';
  return {
    title,
    body: html`<h1>${title}</h1>
      <p>${advice}</p>
      <p class="quiet">${description} (<code>${code}</code>)</p>`,
  };
}

/** The host's login sent the browser straight back: going there again by ourselves would be a loop. */
export function notSignedInPage(signInUrl: string): { title: string; body: Html } {
  return {
    title: 'You are not signed in',
    body: html`<h1>You are not signed in</h1>
      <p>
        You came back from signing in, but nobody is signed in. Perhaps cookies are blocked, or the sign-in
        was left.
      </p>
      <p><a class="button primary" href="${signInUrl}">Sign in</a></p>`,
  };
}
