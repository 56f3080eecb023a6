import { randomBytes } from 'node:crypto';

import type { Store } from '../adapters/store';
import type { Client } from '../clients/client';
import { sha256 } from '../digest';
import { accessDenied, loginRequired, type OAuthError } from '../errors';
import type { TokenFacts } from '../grants/status';
import type { SealedJson } from '../tokens/sealed-json';

/** The user whose account may be linked at a provider, and the client that may do it. */
export interface LinkPermission {
  readonly userId: string;
  readonly clientId: string;
  /** The scope of the access token that identified the user: the link grants no more. */
  readonly scope: readonly string[];
  /** The facts about that user's sign-in (OpenID Connect Core §2). */
  readonly authTime?: number | undefined;
  readonly acr?: string | undefined;
  readonly amr?: readonly string[] | undefined;
  /** The access token: a permission ends when its token, or the grant of the token, is revoked. */
  readonly accessToken: TokenFacts & { readonly bySecret: boolean };
}

/** One-time tickets, valid for a minute, with which an app starts a link without an access token in a URL. */
export interface LinkTickets {
  issue(permission: LinkPermission): { ticket: string; expiresIn: number };
  /**
   * Returns the permission of a ticket.
   * @throws OAuthError `login_required` if the ticket is malformed or expired, `access_denied` if another server issued it
   */
  read(ticket: string): LinkPermission;
  /** Spends a ticket. @throws OAuthError `login_required` if it was spent before */
  spend(ticket: string): Promise<void>;
}

export interface LinkTicketContent extends LinkPermission {
  readonly id: string;
}

/** Seconds. */
const LIFETIME = 60;
/** How far processes' clocks may differ. Seconds. */
const GRACE = 60;

export function createLinkTickets(options: {
  issuer: string;
  sealed: SealedJson<LinkTicketContent>;
  store: Pick<Store, 'setOnce'>;
  clock: () => number;
}): LinkTickets {
  const { sealed, store, clock } = options;
  // The tag names the issuer of a ticket and protects nothing.
  const tag = sha256(options.issuer).slice(0, 12);

  function contentOf(ticket: string): LinkTicketContent {
    const [foundTag, text = ''] = ticket.split('.', 2);
    if (/^[\w-]{12}$/.test(foundTag ?? '') && foundTag !== tag) throw fromAnotherServer();
    const content = sealed.open(text);
    if (!content) throw unusable('malformed or expired link ticket');
    return content;
  }

  return {
    issue: (permission) => {
      const content = { ...permission, id: randomBytes(16).toString('base64url') };
      return { ticket: `${tag}.${sealed.seal(content, clock() + LIFETIME * 1000)}`, expiresIn: LIFETIME };
    },
    read: contentOf,
    spend: async (ticket) => {
      const first = await store.setOnce(`link-ticket:${contentOf(ticket).id}`, LIFETIME + GRACE);
      if (!first) throw unusable('link ticket used before');
    },
  };
}

/**
 * Refuses other parties' apps. Such an app could link its own account at a provider to a user's account, and sign in as that user
 * from then on.
 *
 * @throws OAuthError `access_denied`
 */
export function refuseThirdParty({ firstParty }: Pick<Client, 'firstParty'>): void {
  if (!firstParty) throw accessDenied('Only first-party clients may link accounts', { status: 403 });
}

export function fromAnotherServer(): OAuthError {
  return accessDenied('The token is from another server');
}

/** Creates the error for a `token` that does not identify a user. The client does not learn the reason. */
export function unusable(reason: string): OAuthError {
  return loginRequired('The token is malformed, expired, or was used before', { reason });
}
