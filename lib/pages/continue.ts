import { html } from './html';
import type { PageContent } from './layout';

/** Sends the browser on without script. Its URL must be one of this server. */
export function continuePage(url: string): PageContent {
  return {
    title: 'Continue',
    refreshUrl: url,
    body: html`<p><a class="button primary" href="${url}">Continue</a></p>`,
  };
}
