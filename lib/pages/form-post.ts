import type { Response } from 'express';

import { html } from './html';
import { createScriptPage } from './script-page';

const scriptPage = createScriptPage('document.forms[0].submit()');

/**
 * Sends a form that submits itself, with a button for browsers without script. The user decides nothing here, so the page may be
 * framed.
 */
export function formPostPage(
  res: Response,
  action: string,
  parameters: Readonly<Record<string, string | undefined>>,
): void {
  const fields = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [html`<input type="hidden" name="${name}" value="${value}">`],
  );
  const button = html`<noscript><button>Continue</button></noscript>`;
  const body = html`<form method="post" action="${action}">${fields}${button}</form>`;
  scriptPage(res, { body, referrerPolicy: 'strict-origin' });
}
