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
  /** The client's display name. A client that is `selfAsserted` has chosen it itself: it is cut after 60 characters. */
  clientName: string;
  /** Whether nobody here has checked what the client says of itself. */
  selfAsserted: boolean;
  /** The host that a `selfAsserted` client belongs to, if its id is a URL; everything else is its own claim. */
  clientHost: string | undefined;
  /** Whether the browser goes to a program on the user's own device, which could be any. */
  isLocal: boolean;
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
  /** The name that the user is signed in with; `undefined` before a sign-in at a provider. */
  userName: string | undefined;
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
  const body = html`${view.selfAsserted ? unknownClient(view) : knownClient(view)}
${view.userName === undefined ? html`<p>You will sign in on the next page.</p>` : html`<p>You are signed in as <strong><bdi>${view.userName}</bdi></strong>.</p>`}
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
<p class="quiet">${view.selfAsserted ? undefined : html`You will continue to <strong>${view.destination}</strong>. `}Allow this only if you were using <bdi>${clientName}</bdi> just now.</p>
<p class="quiet">${links.filter((item) => item !== undefined)}</p>`;
  return { title: view.selfAsserted ? 'Allow access?' : `Allow ${clientName}?`, body };
}

function knownClient({ clientName, logoUri }: ConsentView): Html {
  return html`${logo(logoUri)}<h1><bdi>${clientName}</bdi> wants to access your account</h1>`;
}

/** The name is no part of a sentence: it could end that sentence, and begin one that seems to be ours. */
function unknownClient(view: ConsentView): Html {
  const { clientHost, destination, isLocal } = view;
  const warning = isLocal
    ? html`<p class="warning" role="note">This is a program on your own device. Any program there could use this name.</p>`
    : undefined;
  return html`<h1>Allow access to your account?</h1>
${logo(view.logoUri)}<p class="name"><bdi>${view.clientName}</bdi></p>
<dl>
${clientHost === undefined ? html`<div><dt>App from</dt><dd>unknown</dd></div>` : html`<div><dt>App from</dt><dd><strong>${clientHost}</strong></dd></div>`}
<div><dt>Continues to</dt><dd><strong>${destination}</strong></dd></div>
</dl>
<p class="quiet">The app has chosen its name itself, and nobody here has checked it.</p>
${warning}`;
}

function logo(uri: string | undefined): Html | undefined {
  return uri === undefined
    ? undefined
    : html`<img class="client" src="${uri}" alt="" referrerpolicy="no-referrer">`;
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
