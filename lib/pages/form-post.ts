import { createHash } from 'node:crypto';

import type { Response } from 'express';

import { noStore } from '../http/redirect';
import { html, Html } from './html';

const SCRIPT = 'document.forms[0].submit()';
const POLICY = [
  "default-src 'none'",
  `script-src 'sha256-${createHash('sha256').update(SCRIPT).digest('base64')}'`,
  "base-uri 'none'",
].join('; ');

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
  const document = html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="robots" content="noindex"><title>Continue</title></head>
<body>
<form method="post" action="${action}">${fields}<noscript><button>Continue</button></noscript></form>
<script>${new Html(SCRIPT)}</script>
</body>
</html>
`;
  noStore(res);
  res.setHeader('Content-Security-Policy', POLICY);
  for (const header of [
    'Content-Security-Policy-Report-Only',
    'Cross-Origin-Opener-Policy',
    'X-Frame-Options',
  ])
    res.removeHeader(header);
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('Referrer-Policy', 'strict-origin');
  res.status(200).type('html').send(document.text);
}
