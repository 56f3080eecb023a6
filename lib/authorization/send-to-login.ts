import type { Request, Response } from 'express';

import { callHost } from '../host/call';
import { redirect, withParameters } from '../http/redirect';
import type { LoginUrl } from './host-pages';
import type { LoginOutcome } from './outcome';

/** Sends the browser to the host's login, with what its page may want to know of the request. */
export type SendToLogin = (
  req: Request,
  res: Response,
  request: LoginOutcome['request'],
  resumeUrl: string,
) => Promise<void>;

export function createSendToLogin(loginUrl: LoginUrl): SendToLogin {
  return async function sendToLogin(req, res, request, resumeUrl) {
    const { client, scope, resources, prompt, maxAge, loginHint, uiLocales, display, claims } = request;
    const acrValues = [...new Set([...claims.essentialAcr, ...request.acrValues])];
    if (typeof loginUrl === 'function') {
      const shown = { client, scope, resources, prompt, maxAge, loginHint, uiLocales, display, acrValues };
      await callHost(() => loginUrl(req, res, { resumeUrl, request: shown }));
      return;
    }
    const parameters = {
      return_to: resumeUrl,
      prompt: prompt.join(' ') || undefined,
      login_hint: loginHint,
      max_age: maxAge === undefined ? undefined : String(maxAge),
      ui_locales: uiLocales,
      acr_values: acrValues.join(' ') || undefined,
    };
    redirect(res, withParameters(loginUrl, parameters));
  };
}
