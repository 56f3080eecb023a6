import type { Response } from 'express';

import { html } from './html';
import { createScriptPage } from './script-page';

const scriptPage = createScriptPage(
  'const { origin, response } = document.querySelector("template").dataset;' +
    'const target = window.opener ?? (window.parent === window ? null : window.parent);' +
    "target?.postMessage({ type: 'authorization_response', response: JSON.parse(response) }, origin);",
);

/**
 * Sends a page that posts an authorization response to the window that opened or framed it: to the origin of the redirect URI, and to
 * no other. `framed` allows that origin to frame the page, which the user does not see and decides nothing on.
 */
export function webMessagePage(
  res: Response,
  redirectUri: string,
  parameters: Readonly<Record<string, string | undefined>>,
  { framed }: { framed: boolean },
): void {
  const { origin } = new URL(redirectUri);
  const body = html`<template data-origin="${origin}" data-response="${JSON.stringify(parameters)}"></template>`;
  scriptPage(res, { body, frameAncestors: framed ? origin : "'none'", referrerPolicy: 'no-referrer' });
}
