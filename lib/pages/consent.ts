import { html, type Html } from './html';
import type { PageContent } from './layout';

/** A scope value with its description. */
export interface DescribedScope {
  /** The scope value. */
  value: string;
  /** The description, or the value itself. */
  description: string;
}

/** The contents of the consent page. */
export interface ConsentView {
  /** The client's display name. */
  clientName: string;
  /** The client's home page. */
  clientUri: string | undefined;
  /** The client's logo. */
  logoUri: string | undefined;
  /** The client's privacy policy. */
  policyUri: string | undefined;
  /** The client's terms of service. */
  tosUri: string | undefined;
  /** The place where the browser goes afterwards, as text: a host, the app for a scheme, or a page with a code. */
  destination: string;
  /** The name that the user is signed in with. */
  userName: string;
  /** The requested scope values with their descriptions. */
  scopes: readonly DescribedScope[];
  /** The requested audiences other than the default audience. */
  resources: readonly string[];
  /** The URL that the form is posted to. */
  action: string;
  /** The sealed request: the form's field `request`. */
  request: string;
}

export function consentPage(view: ConsentView): PageContent {
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
${scopes.length > 0 ? list('scopes', 'It will be able to:', scopes.map(scopeItem)) : html`<p>It will learn the id of your account${resources.length > 0 ? '' : ', and nothing else'}.</p>`}
${
  resources.length > 0
    ? list(
        'resources',
        'At these services:',
        resources.map((resource) => html`<li>${resource}</li>`),
      )
    : undefined
}
<form method="post" action="${view.action}">
<input type="hidden" name="request" value="${view.request}">
<button class="primary" name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button>
</form>
<p class="quiet">You will continue to <strong>${view.destination}</strong>. Allow this only if you were using ${clientName} just now.</p>
<p class="quiet">${links.filter((item) => item !== undefined)}</p>`;
  return { title: `Allow ${clientName}?`, body };
}

function list(id: string, title: string, items: readonly Html[]): Html {
  return html`<h2 id="${id}">${title}</h2>
<ul aria-labelledby="${id}">${items}</ul>`;
}

function scopeItem({ value, description }: DescribedScope): Html {
  return value === description ? html`<li>${value}</li>` : html`<li>${description}<code>${value}</code></li>`;
}

function link(uri: string | undefined, text: string): Html | undefined {
  return uri === undefined ? undefined : html`<a href="${uri}" rel="noopener noreferrer">${text}</a> `;
}
