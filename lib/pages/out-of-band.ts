import { html, type Html } from './html';

/** Shows a code to whoever must carry it over to an app. */
export function outOfBandPage(view: {
  clientName: string;
  code: string;
  state: string | undefined;
  /** Apps that drive a browser read the title of its window. */
  inTitle: boolean;
}): { title: string; body: Html; referrerPolicy: 'no-referrer'; isTitleBare: boolean } {
  const { clientName, code, state, inTitle } = view;
  const answer = new URLSearchParams({ code, ...(state !== undefined && { state }) });
  return {
    title: inTitle ? `Success ${answer.toString()}` : `Your code for ${clientName}`,
    body: html`<h1>Your code for ${clientName}</h1>
      <p>Copy it, and paste it where ${clientName} asks for it. It is good for a minute at most.</p>
      <pre><code id="code">${code}</code></pre>
      <p class="quiet">
        <strong>Give it to nobody else.</strong> Whoever has it can use your account through ${clientName}. If
        a website, a message or a person asked you for it, close this page.
      </p>`,
    referrerPolicy: 'no-referrer',
    isTitleBare: inTitle,
  };
}
