import type { OAuthError } from '../errors';
import type { LinkView } from '../pages/link';
import type { ConsentContext } from './host-pages';
import type { AuthorizationRequest } from './request';

/** The result of an authorization request, which `respond` sends. */
export type Outcome =
  | CodeOutcome
  | ErrorOutcome
  | LoginOutcome
  | NotSignedInOutcome
  | ConsentOutcome
  | ProviderOutcome
  | LinkOutcome
  | ReloadOutcome;

/** The client gets a code. */
export interface CodeOutcome {
  readonly kind: 'code';
  readonly code: string;
  /** The transaction with a provider that is complete, if there was one. */
  readonly transactionId: string | undefined;
}

/** The client gets an error. */
export interface ErrorOutcome {
  readonly kind: 'error';
  readonly error: OAuthError;
  /** The endpoint that the event names. */
  readonly endpoint: 'authorize' | 'callback';
  /** The transaction with a provider that has ended, if there was one. */
  readonly transactionId: string | undefined;
  /** Whether the user sees the error here, because the client must not get it. */
  readonly isShown: boolean;
}

/** The browser goes to the host's login. */
export interface LoginOutcome {
  readonly kind: 'login';
  readonly request: AuthorizationRequest;
  readonly resumeUrl: string;
}

/** The login sent the browser back without a user: a page explains it and links to the login. */
export interface NotSignedInOutcome {
  readonly kind: 'not-signed-in';
  readonly signInUrl: string;
}

/** The user is asked for consent. */
export interface ConsentOutcome {
  readonly kind: 'consent';
  readonly context: ConsentContext;
  /** The browser that is asked, if its user is not known yet: only there, the decision counts. `lifetime` is in seconds. */
  readonly browser: { readonly id: string; readonly lifetime: number } | undefined;
}

/** The user, whom the host does not know, is asked whether to link the account at the provider. */
export interface LinkOutcome {
  readonly kind: 'link';
  readonly view: LinkView;
}

/** The browser continues the request here, with GET. */
export interface ReloadOutcome {
  readonly kind: 'reload';
  readonly url: string;
}

/** The browser goes to a provider. */
export interface ProviderOutcome {
  readonly kind: 'provider';
  readonly url: string;
  readonly transactionId: string;
  /** How long the browser is bound to the transaction. Seconds. */
  readonly lifetime: number;
  /** Whether the provider posts its response as a form, which is a request from another site. */
  readonly crossSite: boolean;
}
