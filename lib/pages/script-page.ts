import { createHash } from 'node:crypto';

import type { Response } from 'express';

import { noStore } from '../http/redirect';
import { html, Html } from './html';

/** A page that does one thing by itself, without a decision of the user. */
export type ScriptPage = (res: Response, content: ScriptPageContent) => void;

interface ScriptPageContent {
  readonly body: Html;
  /** @defaultValue any page may frame this one */
  readonly frameAncestors?: string;
  readonly referrerPolicy: 'no-referrer' | 'strict-origin';
}

export function createScriptPage(script: string): ScriptPage {
  const hash = createHash('sha256').update(script).digest('base64');

  return (res, { body, frameAncestors, referrerPolicy }) => {
    const document = html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="robots" content="noindex"><title>Continue</title></head>
<body>
${body}
<script>${new Html(script)}</script>
</body>
</html>
`;
    const policy = ["default-src 'none'", `script-src 'sha256-${hash}'`, "base-uri 'none'"];
    if (frameAncestors !== undefined) policy.push(`frame-ancestors ${frameAncestors}`);
    noStore(res);
    for (const header of HEADERS_OF_THE_HOST) res.removeHeader(header);
    res.setHeader('Content-Security-Policy', policy.join('; '));
    res.setHeader('X-Content-Type-Options', 'nosniff');
    res.setHeader('Referrer-Policy', referrerPolicy);
    res.status(200).type('html').send(document.text);
  };
}

/** They would separate the page from the window that opened it, or keep it out of the frame that it is for. */
const HEADERS_OF_THE_HOST = [
  'Content-Security-Policy-Report-Only',
  'Cross-Origin-Opener-Policy',
  'Cross-Origin-Resource-Policy',
  'X-Frame-Options',
];
