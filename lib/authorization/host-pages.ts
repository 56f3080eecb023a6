import type { Request, Response } from 'express';

import type { Client } from '../clients/client';
import type { OAuthUser } from '../host/user';
import type { ConsentView } from '../pages/consent';
import type { Prompt } from './request';

/** The request that a `loginUrl` function receives. */
export interface LoginContext {
  /** The URL that the browser must go to after the login. */
  readonly resumeUrl: string;
  /** The authorization request that needs a user. */
  readonly request: {
    /** The client. */
    readonly client: Client;
    /** The requested scope values. */
    readonly scope: readonly string[];
    /** The requested audiences. */
    readonly resources: readonly string[];
    /** The values of `prompt`, with `login` also if the sign-in is too old, too weak, or by another user than requested. */
    readonly prompt: readonly Prompt[];
    /** The maximum age of the sign-in. Seconds. */
    readonly maxAge: number | undefined;
    /** `login_hint`. */
    readonly loginHint: string | undefined;
    /** `ui_locales`. */
    readonly uiLocales: string | undefined;
    /** `display`. */
    readonly display: string | undefined;
    /** The requested values of `acr` in the order of preference, essential ones first. The host answers with `user.acr`. */
    readonly acrValues: readonly string[];
  };
}

/**
 * The login page: a path or URL that gets `return_to`, `prompt`, `max_age`, `login_hint`, `ui_locales` and `acr_values` in its query,
 * or a function that answers the request itself.
 */
export type LoginUrl = string | ((req: Request, res: Response, context: LoginContext) => unknown);

/** The contents of a host's own consent page, which posts `request` and `decision` (`allow` or `deny`) to `action`. */
export interface ConsentContext extends ConsentView {
  /** The client that requests access. */
  readonly client: Client;
  /** The user who is asked; `undefined` before a sign-in at a provider. */
  readonly user: OAuthUser | undefined;
}

/** Shows a host's own consent page. It sends the response, whose headers already prevent framing and caching. */
export type ConsentHandler = (req: Request, res: Response, context: ConsentContext) => unknown;
