import type { Request, Response } from 'express';

import type { Client } from '../clients/client';
import { OAuthError } from '../errors';
import type { Policies } from '../grants/policy';
import { authTimeOf, type OAuthUser } from '../grants/user';
import { redirect, withParameters } from '../http/redirect';
import { notSignedInPage } from '../pages/error';
import type { Page } from '../pages/layout';
import { grantContext, type AuthorizationRequest, type Prompt } from './authorization-request';
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
  };
}

/** A path or URL that gets `return_to`, `prompt` and `login_hint`; or a function that answers the request itself. */
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
  policies: Policies;
  page: Page;
  clock: () => number;
}

/** @see OpenID Connect Core §3.1.2.1 and §3.1.2.3 */
export function signIn({ authenticate, loginUrl, resumption, policies, page, clock }: SignInOptions): SignIn {
  return async (req, res, request, resumed) => {
    const user = (await authenticate(req)) ?? undefined;
    const { progress } = resumed;
    if (user && satisfies(user, request, progress, clock())) return user;

    if (request.prompt.includes('none')) throw new OAuthError('login_required', 'The user is not signed in');
    if (user && progress.detours > 0) {
      throw new OAuthError('login_required', 'The user did not sign in again', {
        reason: 'no fresh authTime',
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
      const { client, scope, resources, prompt, maxAge, loginHint } = request;
      await loginUrl(req, res, {
        resumeUrl,
        request: { client, scope, resources, prompt, maxAge, loginHint },
      });
      return;
    }
    const prompt = request.prompt.join(' ') || undefined;
    redirect(res, withParameters(loginUrl, { return_to: resumeUrl, prompt, login_hint: request.loginHint }));
  }
}

/** Whether who is signed in will do for this request. */
function satisfies(user: OAuthUser, request: AuthorizationRequest, progress: Progress, now: number): boolean {
  const { prompt, maxAge } = request;
  const authTime = authTimeOf(user);
  const detoured = progress.detours > 0;
  const fresh = detoured && authTime !== undefined && authTime >= Math.floor(progress.startedAt / 1000);
  if (prompt.includes('select_account') && !detoured) return false;
  if ((prompt.includes('login') || maxAge === 0) && !fresh) return false;
  return maxAge === undefined || fresh || (authTime !== undefined && now / 1000 - authTime <= maxAge);
}
