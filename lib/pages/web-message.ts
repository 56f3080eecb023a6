import { createHash } from 'node:crypto';

import type { Response } from 'express';

import { noStore } from '../http/redirect';
import { html, Html } from './html';

const SCRIPT =
  'const { origin, response } = document.body.dataset;' +
  'const target = window.opener ?? (window.parent === window ? null : window.parent);' +
  "target?.postMessage({ type: 'authorization_response', response: JSON.parse(response) }, origin);";
const SCRIPT_HASH = createHash('sha256').update(SCRIPT).digest('base64');

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
  const document = html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="robots" content="noindex"><title>Continue</title></head>
<body data-origin="${origin}" data-response="${JSON.stringify(parameters)}">
<script>${new Html(SCRIPT)}</script>
</body>
</html>
`;
  noStore(res);
  const policy = ["default-src 'none'", `script-src 'sha256-${SCRIPT_HASH}'`, "base-uri 'none'"];
  res.setHeader(
    'Content-Security-Policy',
    [...policy, `frame-ancestors ${framed ? origin : "'none'"}`].join('; '),
  );
  for (const header of [
    'Content-Security-Policy-Report-Only',
    'Cross-Origin-Opener-Policy',
    // With a frame in a page that is isolated, a host's own policies would block the response.
    'Cross-Origin-Resource-Policy',
    'X-Frame-Options',
  ])
    res.removeHeader(header);
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('Referrer-Policy', 'no-referrer');
  res.status(200).type('html').send(document.text);
}
