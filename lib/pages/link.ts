import { html } from './html';
import type { PageContent } from './layout';

/** The contents of the page that asks before an account at a provider is linked. */
export interface LinkView {
  /** The provider's id. */
  readonly providerId: string;
  /** The account at the provider, as its user knows it; `undefined` if the provider does not say. */
  readonly identityName: string | undefined;
  /** The user to whose account it will belong. */
  readonly userName: string;
  readonly clientName: string;
  /** The URL that the form is posted to. */
  readonly action: string;
  /** The sealed transaction: the form's field `request`. */
  readonly request: string;
}

/** Asks a person whom the host does not know whether their account at a provider shall belong to the user of a link ticket. */
export function linkPage(view: LinkView): PageContent {
  const { providerId, identityName, userName, clientName, action, request } = view;
  const identity = identityName === undefined ? '' : ` ${identityName}`;
  return {
    title: 'Link this account?',
    body: html`<h1>Link your ${providerId} account${identity} to the account of ${userName}?</h1>
<p>Whoever uses the account of <strong>${userName}</strong> can then use everything that you share with ${clientName} from this ${providerId} account.</p>
<p>If you are not <strong>${userName}</strong>, somebody else has sent you here: choose “Do not link”.</p>
<form method="post" action="${action}">
<input type="hidden" name="request" value="${request}">
<button class="primary" name="decision" value="allow">Link</button>
<button name="decision" value="deny">Do not link</button>
</form>`,
  };
}
