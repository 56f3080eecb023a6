import { html, type Html } from './html';

/** What the consent page shows. */
export interface ConsentView {
  /** The client's display name. */
  clientName: string;
  clientUri: string | undefined;
  logoUri: string | undefined;
  policyUri: string | undefined;
  tosUri: string | undefined;
  /** Where the browser goes afterwards: a host, or a scheme. */
  destination: string;
  /** Whom the user is signed in as. */
  userName: string;
  /** The scope values that are asked for, with the words for them. */
  scopes: readonly { value: string; description: string }[];
  /** The audiences that are asked for, unless it is the default one. */
  resources: readonly string[];
  /** Where the form is posted. */
  action: string;
  /** The sealed request: the form's field `request`. */
  request: string;
}

export function consentPage(view: ConsentView): { title: string; body: Html } {
  const { clientName, scopes, resources } = view;
  const links = [
    link(view.clientUri, 'Website'),
    link(view.policyUri, 'Privacy policy'),
    link(view.tosUri, 'Terms of service'),
  ];
  const logo = view.logoUri
    ? html`<img class="client" src="${view.logoUri}" alt="" referrerpolicy="no-referrer">`
    : undefined;
  const body = html`${logo}<h1>${clientName} wants to access your account</h1>
<p>You are signed in as <strong>${view.userName}</strong>.</p>
${scopes.length > 0 ? list('scopes', 'It will be able to:', scopes.map(scopeItem)) : html`<p>It will learn who you are, and nothing else.</p>`}
${
  resources.length > 0
    ? list(
        'resources',
        'At:',
        resources.map((resource) => html`<li>${resource}</li>`),
      )
    : undefined
}
<form method="post" action="${view.action}">
<input type="hidden" name="request" value="${view.request}">
<button class="primary" name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button>
</form>
<p class="quiet">You will go back to <strong>${view.destination}</strong>. Allow this only if you were using ${clientName} just now.</p>
<p class="quiet">${links.filter((item) => item !== undefined)}</p>`;
  return { title: `Allow ${clientName}?`, body };
}

function list(id: string, title: string, items: readonly Html[]): Html {
  return html`<h2 id="${id}">${title}</h2>
<ul aria-labelledby="${id}">${items}</ul>`;
}

function scopeItem({ value, description }: { value: string; description: string }): Html {
  return value === description ? html`<li>${value}</li>` : html`<li>${description}<code>${value}</code></li>`;
}

function link(uri: string | undefined, text: string): Html | undefined {
  return uri === undefined ? undefined : html`<a href="${uri}" rel="noopener noreferrer">${text}</a> `;
}
