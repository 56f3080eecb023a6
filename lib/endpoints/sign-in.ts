import type { Request, Response } from 'express';

import type { Client } from '../clients/client';
import { OAuthError } from '../errors';
import type { Policies } from '../grants/policy';
import { authTimeOf, userIdOf, type OAuthUser } from '../grants/user';
import { redirect, withParameters } from '../http/redirect';
import { notSignedInPage } from '../pages/error';
import type { Page } from '../pages/layout';
import { grantContext, type AuthorizationRequest, type Prompt } from './authorization-request';
import type { Subject } from '../tokens/subject';
import type { Progress, Resumed, Resumption } from './resumption';

/** Who is signed in at the host. It must have no side effects. */
export type Authenticate<User extends OAuthUser> = (
  req: Request,
) => User | undefined | null | Promise<User | undefined | null>;

/** What a `loginUrl` function gets. */
export interface LoginContext {
  /** Where the browser must go after the login. */
  readonly resumeUrl: string;
  readonly request: {
    readonly client: Client;
    readonly scope: readonly string[];
    readonly resources: readonly string[];
    readonly prompt: readonly Prompt[];
    /** Seconds. */
    readonly maxAge: number | undefined;
    readonly loginHint: string | undefined;
    readonly uiLocales: string | undefined;
    readonly display: string | undefined;
    /** In the order of preference; `user.acr` says what became of it. */
    readonly acrValues: readonly string[];
  };
}

/** A path or URL that gets `return_to`, `prompt`, `login_hint`, `ui_locales` and `acr_values`; or a function that answers the request itself. */
export type LoginUrl = string | ((req: Request, res: Response, context: LoginContext) => unknown);

/** Gives the user who is signed in; or answers the request, and gives `undefined`. */
export type SignIn = (
  req: Request,
  res: Response,
  request: AuthorizationRequest,
  resumed: Resumed,
) => Promise<OAuthUser | undefined>;

interface SignInOptions {
  authenticate: Authenticate<OAuthUser>;
  loginUrl: LoginUrl;
  resumption: Resumption;
  subject: Subject;
  policies: Policies;
  page: Page;
  clock: () => number;
}

/** @see OpenID Connect Core §3.1.2.1 and §3.1.2.3 */
export function signIn(options: SignInOptions): SignIn {
  const { authenticate, loginUrl, resumption, subject, policies, page, clock } = options;

  return async (req, res, request, resumed) => {
    const user = (await authenticate(req)) ?? undefined;
    const { progress } = resumed;
    const missing = user && missingFor(user, request, progress, clock(), subject);
    if (user && missing === undefined) return user;

    if (request.prompt.includes('none')) throw new OAuthError('login_required', 'The user is not signed in');
    if (missing !== undefined && progress.detours > 0) {
      // OpenID Connect Core Unmet Authentication Requirements §2
      const code = missing === 'acr' ? 'unmet_authentication_requirements' : 'login_required';
      throw new OAuthError(code, 'The user did not sign in as requested', {
        reason: `not satisfied: ${missing}`,
      });
    }

    const lifetime = policies.parkedRequestLifetime(grantContext(request));
    const parked = await resumption.park(resumed, { always: req.method === 'POST', lifetime });
    const resumeUrl = (detours: number): string =>
      resumption.url({ ...parked, progress: { ...parked.progress, detours } }, lifetime);
    if (progress.detours > 0) {
      page(res, 400, notSignedInPage(resumeUrl(0)));
      return undefined;
    }
    await sendToLogin(req, res, request, resumeUrl(1));
    return undefined;
  };

  async function sendToLogin(
    req: Request,
    res: Response,
    request: AuthorizationRequest,
    resumeUrl: string,
  ): Promise<void> {
    if (typeof loginUrl === 'function') {
      const { client, scope, resources, prompt, maxAge, loginHint, uiLocales, display, acrValues } = request;
      await loginUrl(req, res, {
        resumeUrl,
        request: { client, scope, resources, prompt, maxAge, loginHint, uiLocales, display, acrValues },
      });
      return;
    }
    const parameters = {
      return_to: resumeUrl,
      prompt: request.prompt.join(' ') || undefined,
      login_hint: request.loginHint,
      ui_locales: request.uiLocales,
      acr_values: request.acrValues.join(' ') || undefined,
    };
    redirect(res, withParameters(loginUrl, parameters));
  }
}

/** What keeps the one who is signed in from being the one that this request wants. */
type Missing = 'selection' | 'fresh authTime' | 'acr' | 'user';

function missingFor(
  user: OAuthUser,
  request: AuthorizationRequest,
  progress: Progress,
  now: number,
  subject: Subject,
): Missing | undefined {
  const { client, prompt, maxAge, expectedSub } = request;
  const { essentialAcr } = request.claims;
  const authTime = authTimeOf(user);
  const detoured = progress.detours > 0;
  const fresh = detoured && authTime !== undefined && authTime >= Math.floor(progress.startedAt / 1000);
  if (prompt.includes('select_account') && !detoured) return 'selection';
  if ((prompt.includes('login') || maxAge === 0) && !fresh) return 'fresh authTime';
  const young = fresh || (authTime !== undefined && now / 1000 - authTime <= (maxAge ?? Infinity));
  if (maxAge !== undefined && !young) return 'fresh authTime';
  if (essentialAcr.length > 0 && !essentialAcr.includes(user.acr ?? '')) return 'acr';
  const isOther = expectedSub !== undefined && subject(client, userIdOf(user, client)) !== expectedSub;
  return isOther ? 'user' : undefined;
}
