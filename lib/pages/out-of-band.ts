import { html } from './html';
import type { PageContent } from './layout';

/** Shows a code that the user copies to an app. */
export function outOfBandPage(view: {
  clientName: string;
  code: string;
  state: string | undefined;
  /** Puts the code into the title, for apps that control a browser and read the title of its window. */
  inTitle: boolean;
}): PageContent {
  const { clientName, code, state, inTitle } = view;
  const answer = new URLSearchParams({ code, ...(state !== undefined && { state }) });
  return {
    title: inTitle ? `Success ${answer.toString()}` : `Your code for ${clientName}`,
    body: html`<h1>Your code for ${clientName}</h1>
      <p>Copy it and paste it where ${clientName} asks for it. It expires within a minute.</p>
      <pre><code id="code">${code}</code></pre>
      <p class="quiet">
        <strong>Do not share it.</strong> Anyone who has it can use your account through ${clientName}. If a
        website, a message or a person asked you for it, close this page.
      </p>`,
    referrerPolicy: 'no-referrer',
    isTitleBare: inTitle,
  };
}
