import type { Request, Response } from 'express';

import type { EventReporter } from '../event-reporter';
import type { BrowserBinding } from '../federation/browser-binding';
import { callHost } from '../host/call';
import { sendJson, type EndpointFrame, type RespondError } from '../http/endpoint';
import { redirect } from '../http/redirect';
import { consentPage } from '../pages/consent';
import { notSignedInPage } from '../pages/error';
import { linkPage } from '../pages/link';
import { protectPage, type Page } from '../pages/layout';
import { outOfBandPage } from '../pages/out-of-band';
import type { ConsentHandler, LoginUrl } from './host-pages';
import type { CodeOutcome, ConsentOutcome, ErrorOutcome, Outcome, ProviderOutcome } from './outcome';
import type { RedirectTarget } from './redirect-target';
import type { SendToClient } from './response';
import { createSendToLogin } from './send-to-login';

/** Sends the outcome of an authorization request: the only step that touches the response. */
export type Respond = (
  req: Request,
  res: Response,
  target: RedirectTarget,
  outcome: Outcome,
) => Promise<void>;

interface RespondOptions {
  issuer: string;
  sendToClient: SendToClient;
  binding: BrowserBinding;
  loginUrl: LoginUrl;
  consentHandler: ConsentHandler | undefined;
  page: Page;
  frame: Pick<EndpointFrame, 'sendError'>;
  respondError: RespondError;
  reporter: EventReporter;
}

export function createRespond(options: RespondOptions): Respond {
  const { issuer, sendToClient, binding, consentHandler, page, frame, respondError, reporter } = options;
  const sendToLogin = createSendToLogin(options.loginUrl);

  return async function respond(req, res, target, outcome) {
    switch (outcome.kind) {
      case 'code':
        return sendCode(res, target, outcome);
      case 'error':
        return sendError(req, res, target, outcome);
      case 'login':
        return sendToLogin(req, res, outcome.request, outcome.resumeUrl);
      case 'not-signed-in':
        return page(res, 400, notSignedInPage(outcome.signInUrl));
      case 'consent':
        return askForConsent(req, res, outcome);
      case 'reload':
        return target.asJson
          ? sendLocation(res, outcome.url)
          : redirect(res, outcome.url, { seeOther: true });
      case 'link':
        return page(res, 200, linkPage(outcome.view));
      case 'provider':
        return sendToProvider(req, res, outcome);
    }
  };

  function sendCode(res: Response, target: RedirectTarget, { code, transactionId }: CodeOutcome): void {
    if (transactionId !== undefined) binding.release(res, transactionId);
    const { client, state, redirectUri, outOfBand } = target;
    if (outOfBand === 'json') return sendJson(res, { code, state, iss: issuer });
    if (outOfBand === undefined)
      return sendToClient(res, target, { code }, { seeOther: transactionId !== undefined });
    const inTitle = redirectUri.endsWith(':auto');
    page(res, 200, outOfBandPage({ clientName: client.clientName, code, state, inTitle }));
  }

  /** RFC 6749 §4.1.2.1 */
  async function sendError(
    req: Request,
    res: Response,
    target: RedirectTarget,
    outcome: ErrorOutcome,
  ): Promise<void> {
    const { error, endpoint, transactionId, isShown } = outcome;
    reporter.refused(endpoint, error, { clientId: target.client.clientId });
    if (transactionId !== undefined) binding.release(res, transactionId);
    if (isShown) return respondError(req, res, error);
    if (target.asJson) allowAnyOrigin(res);
    if (target.asJson || target.outOfBand === 'json') return frame.sendError(req, res, error);
    if (target.outOfBand === 'page') return respondError(req, res, error);
    const { errorRedirectUri = target.redirectUri } = transactionId === undefined ? {} : target;
    const errorCode = error.members?.error_code;
    const parameters = {
      error: error.code,
      error_description: error.description,
      error_uri: error.uri,
      error_code: typeof errorCode === 'string' ? errorCode : undefined,
    };
    const seeOther = transactionId !== undefined;
    const isLanding = errorRedirectUri !== target.redirectUri;
    // A landing page is gone to: nobody there waits for a message.
    const responseMode = isLanding && target.responseMode === 'web_message' ? 'query' : target.responseMode;
    const landing = { ...target, redirectUri: errorRedirectUri, responseMode };
    sendToClient(res, landing, parameters, { seeOther });
  }

  async function askForConsent(
    req: Request,
    res: Response,
    { context, browser }: ConsentOutcome,
  ): Promise<void> {
    if (browser) binding.bind(req, res, browser.id, { lifetime: browser.lifetime, crossSite: false });
    if (!consentHandler) return page(res, 200, consentPage(context));
    protectPage(res);
    await callHost(() => consentHandler(req, res, context));
  }

  function sendLocation(res: Response, url: string): void {
    allowAnyOrigin(res);
    sendJson(res, { location: new URL(url, issuer).href });
  }

  function sendToProvider(req: Request, res: Response, outcome: ProviderOutcome): void {
    const { url, transactionId, lifetime, crossSite } = outcome;
    binding.bind(req, res, transactionId, { lifetime, crossSite });
    redirect(res, url);
  }
}

/** For an app that fetches an authorization URL: without credentials, so that no user is involved yet. */
function allowAnyOrigin(res: Response): void {
  res.setHeader('Access-Control-Allow-Origin', '*');
}
