import { html, type Html } from './html';

/** Asks before anybody is signed out whose client has not proven that it acts for this user. */
export function confirmLogoutPage(view: {
  userName: string;
  clientName: string | undefined;
  action: string;
  confirmation: string;
}): { title: string; body: Html } {
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

export function signedOutPage(): { title: string; body: Html } {
  return { title: 'Signed out', body: html`<h1>You are signed out</h1><p>You can close this page.</p>` };
}

export function stillSignedInPage(): { title: string; body: Html } {
  return { title: 'Signed in', body: html`<h1>You are still signed in</h1><p>You can close this page.</p>` };
}
