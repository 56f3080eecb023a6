import { html } from './html';
import type { PageContent } from './layout';

/** Asks the user before signing them out, where the client has not proven that it acts for them. */
export function confirmLogoutPage(view: {
  userName: string;
  clientName: string | undefined;
  action: string;
  confirmation: string;
}): PageContent {
  const { userName, clientName, action, confirmation } = view;
  const asker = clientName === undefined ? undefined : html`<p>${clientName} asks to sign you out.</p>`;
  return {
    title: 'Sign out?',
    body: html`<h1>Do you want to sign out?</h1>
<p>You are signed in as <strong>${userName}</strong>.</p>
${asker}
<form method="post" action="${action}">
<input type="hidden" name="confirmation" value="${confirmation}">
<button class="primary" name="decision" value="sign_out">Sign out</button>
<button name="decision" value="stay">Stay signed in</button>
</form>`,
  };
}

/** `back` is the app's page, if the user may want to go there. */
export function signedOutPage(back?: { clientName: string | undefined; location: string }): PageContent {
  const way = back
    ? html`<p><a class="button primary" href="${back.location}">Back to ${back.clientName ?? 'the app'}</a></p>`
    : html`<p>You can close this page.</p>`;
  return { title: 'Signed out', body: html`<h1>You are signed out</h1>${way}` };
}

export function stillSignedInPage(): PageContent {
  return { title: 'Signed in', body: html`<h1>You are still signed in</h1><p>You can close this page.</p>` };
}
