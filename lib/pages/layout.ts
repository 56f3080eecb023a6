import { createHash } from 'node:crypto';

import type { Response } from 'express';

import { noStore } from '../http/redirect';
import { withDefaults } from '../with-defaults';
import { html, Html } from './html';

/** The look of the built-in pages. */
export interface Branding {
  /** The name of the service. @defaultValue the issuer's host */
  name?: string;
  /** An image, as an https or data URL. @defaultValue none */
  logoUrl?: string;
  /** The colors of primary buttons. */
  colors?: {
    /** The background of primary buttons and the focus outline, as a hex color. @defaultValue `'#2457d6'` */
    accent?: string;
    /** The text on primary buttons, as a hex color. @defaultValue `'#ffffff'` */
    accentText?: string;
  };
}

/** {@link Branding} with every default filled in. */
export interface ResolvedBranding {
  readonly name: string;
  readonly logoUrl: string | undefined;
  readonly colors: { readonly accent: string; readonly accentText: string };
}

const COLORS = { accent: '#2457d6', accentText: '#ffffff' };

export function resolveBranding({ name, logoUrl, colors }: Branding, issuer: string): ResolvedBranding {
  return { name: name ?? new URL(issuer).host, logoUrl, colors: withDefaults(COLORS, colors ?? {}) };
}

/** The title and the body of a page. */
export interface PageContent {
  readonly title: string;
  readonly body: Html;
  /** The URL that the browser goes to at once. */
  readonly refreshUrl?: string;
  readonly referrerPolicy?: 'no-referrer';
  /** Leaves the name of the service out of the title, for programs that read it. */
  readonly isTitleBare?: boolean;
}

/** Sends a page of the library, with its own security headers instead of those that the host's middleware has set. */
export type Page = (res: Response, status: number, content: PageContent) => void;

export function createPage({ name, logoUrl, colors }: ResolvedBranding): Page {
  const style = stylesheet(colors.accent, colors.accentText);
  const hash = createHash('sha256').update(style).digest('base64');
  // No form-action: Chrome applies it to the redirect after the form, which goes to the client.
  const policy = [
    "default-src 'none'",
    `style-src 'sha256-${hash}'`,
    'img-src https: data:',
    "base-uri 'none'",
    FRAME_ANCESTORS,
  ].join('; ');
  const brand = logoUrl
    ? html`<img class="logo" src="${logoUrl}" alt="${name}" />`
    : html`<span class="brand">${name}</span>`;

  return (res, status, { title, body, refreshUrl, referrerPolicy, isTitleBare }) => {
    const refresh =
      refreshUrl === undefined ? '' : html`<meta http-equiv="refresh" content="0; url=${refreshUrl}">`;
    const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">${refresh}
<title>${isTitleBare ? title : `${title} · ${name}`}</title>
<style>${new Html(style)}</style>
</head>
<body>
<header>${brand}</header>
<main>${body}</main>
</body>
</html>
`;
    protectPage(res);
    if (referrerPolicy) res.setHeader('Referrer-Policy', referrerPolicy);
    res.setHeader('Content-Security-Policy', policy);
    res.status(status).type('html').send(document.text);
  };
}

const FRAME_ANCESTORS = "frame-ancestors 'none'";

/** Protects a page of the library or the host: it is not framed, not cached, and its URL is not sent to other sites. */
export function protectPage(res: Response): void {
  noStore(res);
  res.setHeader('Content-Security-Policy', FRAME_ANCESTORS);
  res.removeHeader('Content-Security-Policy-Report-Only');
  res.removeHeader('Cross-Origin-Opener-Policy');
  res.setHeader('X-Frame-Options', 'DENY');
  res.setHeader('X-Content-Type-Options', 'nosniff');
  // With no-referrer, browsers would post the form with `Origin: null`, which hosts' checks refuse.
  res.setHeader('Referrer-Policy', 'same-origin');
}

function stylesheet(accent: string, accentText: string): string {
  return `
:root { --accent: ${accent}; --accent-text: ${accentText}; --page: #f3f4f7; --card: #ffffff; --text: #1b1e27;
  --quiet: #565c6b; --line: #d9dce4; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14161c; --card: #1e212a; --text: #eceef3; --quiet: #a9b0c0; --line: #3a3f4d; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; padding: 2rem 1rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  display: flex; flex-direction: column; align-items: center; justify-content: center; }
header { margin-bottom: 1.25rem; font-weight: 600; font-size: 1.1rem; }
.logo { display: block; max-height: 2.5rem; max-width: 14rem; }
main { width: 100%; max-width: 27rem; padding: 2rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .875rem; box-shadow: 0 1px 2px rgb(0 0 0 / .06), 0 8px 24px rgb(0 0 0 / .06); }
h1 { margin: 0 0 .75rem; font-size: 1.35rem; line-height: 1.3; overflow-wrap: anywhere; }
h2 { margin: 1.5rem 0 .5rem; font-size: .95rem; }
p { margin: 0 0 .75rem; overflow-wrap: anywhere; }
.quiet { color: var(--quiet); font-size: .9rem; }
.client { display: block; width: 3.5rem; height: 3.5rem; object-fit: contain; border-radius: .75rem; margin: 0 0 1rem; }
ul { list-style: none; margin: 0 0 1.25rem; padding: 0; border: 1px solid var(--line); border-radius: .625rem; }
li { padding: .7rem .9rem; overflow-wrap: anywhere; }
li + li { border-top: 1px solid var(--line); }
pre { margin: 0 0 1.25rem; padding: .9rem; border: 1px solid var(--line); border-radius: .625rem; white-space: pre-wrap;
  overflow-wrap: anywhere; user-select: all; }
.name { margin: 0 0 .5rem; font-weight: 600; font-size: 1.15rem; }
.warning { padding: .7rem .9rem; border: 1px solid var(--line); border-left: .3rem solid #c77700; border-radius: .625rem; }
dl { margin: 0 0 1rem; }
dl div { display: flex; gap: .75rem; padding: .15rem 0; }
dt { flex: 0 0 7rem; color: var(--quiet); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
li code { display: block; color: var(--quiet); font-size: .8rem; }
form { display: flex; flex-direction: row-reverse; gap: .75rem; margin: 1.25rem 0; }
button, .button { flex: 1; display: block; padding: .7rem 1rem; font: inherit; font-weight: 600; text-align: center;
  text-decoration: none; border-radius: .625rem; border: 1px solid var(--line); background: transparent;
  color: var(--text); cursor: pointer; }
button.primary, .button.primary { background: var(--accent); border-color: var(--accent); color: var(--accent-text); }
button:focus-visible, a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
a { color: inherit; }
@media (max-width: 24rem) { main { padding: 1.25rem; } form { flex-direction: column; } }
`;
}
