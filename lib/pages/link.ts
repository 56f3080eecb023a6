import { html } from './html';
import type { PageContent } from './layout';

/** The contents of the page that asks before an account at a provider is linked. */
export interface LinkView {
  /** The provider's id. */
  readonly providerId: string;
  /** The account at the provider, as its user knows it; `undefined` if the provider does not say. */
  readonly identityName: string | undefined;
  readonly type: 'authenticate' | 'link';
  /** The user to whose account it will belong: a name that the user chose, and what else the host knows. */
  readonly userName: string;
  readonly userDetails: readonly string[];
  readonly clientName: string;
  /** The URL that the form is posted to. */
  readonly action: string;
  /** The sealed transaction: the form's field `request`. */
  readonly request: string;
}

/** Asks a person whom the host does not know whether their account at a provider shall belong to the user of a link ticket. */
export function linkPage(view: LinkView): PageContent {
  const { providerId, identityName, type, userName, userDetails, clientName, action, request } = view;
  const identity = identityName === undefined ? '' : ` ${identityName}`;
  const what = type === 'link' ? 'Link' : 'Use';
  const purpose = type === 'link' ? 'to' : 'for';
  return {
    title: `${what} this account?`,
    body: html`<h1>${what} your ${providerId} account${identity} ${purpose} the account of ${userName}?</h1>
<p>That account is <strong>${[userName, ...userDetails].join(' · ')}</strong>.</p>
<p>Whoever uses the account of <strong>${userName}</strong> can then use everything that you share with ${clientName} from this ${providerId} account.</p>
<p>If you are not <strong>${userName}</strong>, somebody else has sent you here: choose “No”.</p>
<form method="post" action="${action}">
<input type="hidden" name="request" value="${request}">
<button class="primary" name="decision" value="allow">${what}</button>
<button name="decision" value="deny">No</button>
</form>`,
  };
}
