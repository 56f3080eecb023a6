import { createHash, randomBytes } from 'node:crypto';

import type { Store } from '../adapters/store';
import type { Client } from '../clients/client';
import { OAuthError } from '../errors';
import type { Sealer } from '../tokens/keys';

/** Who may be linked to an account at a provider, and through which client. */
export interface LinkTicket {
  readonly userId: string;
  readonly clientId: string;
  /** What the access token was good for that stood for the user: the link gives no more. */
  readonly scope: readonly string[];
  /** How that user had signed in (OpenID Connect Core §2). */
  readonly authTime?: number | undefined;
  readonly acr?: string | undefined;
  readonly amr?: readonly string[] | undefined;
}

/** Tickets by which an app starts a link for its user without putting a token into a URL. Good once, for a minute. */
export interface LinkTickets {
  issue(ticket: LinkTicket): { ticket: string; expiresIn: number };
  /** What a ticket says. @throws OAuthError `login_required` if it has expired or is none, `access_denied` if it is another server's */
  read(ticket: string): LinkTicket;
  /** Uses it up. @throws OAuthError `login_required` if that has been done */
  spend(ticket: string): Promise<void>;
}

interface Content extends LinkTicket {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** Seconds. */
const LIFETIME = 60;
/** Processes' clocks differ. Seconds. */
const GRACE = 60;

export function linkTickets(options: {
  issuer: string;
  sealer: Sealer;
  store: Pick<Store, 'setOnce'>;
  clock: () => number;
}): LinkTickets {
  const { sealer, store, clock } = options;
  // It says whose a ticket is, and protects nothing.
  const tag = createHash('sha256').update(options.issuer).digest('base64url').slice(0, 12);

  function contentOf(ticket: string): Content {
    const [foundTag, sealed = ''] = ticket.split('.', 2);
    if (/^[\w-]{12}$/.test(foundTag ?? '') && foundTag !== tag) {
      throw ofAnotherServer();
    }
    const text = sealer.open(sealed);
    const content = text === undefined ? undefined : (JSON.parse(text) as Content);
    if (!content || clock() >= content.expiresAt) throw unusable('malformed or expired link ticket');
    return content;
  }

  return {
    issue: (of) => {
      const id = randomBytes(16).toString('base64url');
      const content: Content = { ...of, id, expiresAt: clock() + LIFETIME * 1000 };
      return { ticket: `${tag}.${sealer.seal(JSON.stringify(content))}`, expiresIn: LIFETIME };
    },
    read: contentOf,
    spend: async (ticket) => {
      const first = await store.setOnce(`link-ticket:${contentOf(ticket).id}`, LIFETIME + GRACE);
      if (!first) throw unusable('link ticket used before');
    },
  };
}

/**
 * An app of somebody else's could link its own account at a provider to whoever uses it, and sign in as them ever after.
 *
 * @throws OAuthError `access_denied`
 */
export function refuseThirdParty({ firstParty }: Pick<Client, 'firstParty'>): void {
  if (!firstParty) {
    throw new OAuthError('access_denied', 'Only first-party clients may link accounts', { status: 403 });
  }
}

export function ofAnotherServer(): OAuthError {
  return new OAuthError('access_denied', 'The token is of another server');
}

/** What is answered whenever `token` does not say who is signed in. */
export function unusable(reason: string): OAuthError {
  return new OAuthError('login_required', 'The token is malformed, expired, or was used before', { reason });
}
