import type { Request, Response } from 'express';

import type { Client } from '../clients/client';
import { OAuthError } from '../errors';
import type { Policies } from '../grants/policy';
import { authTimeOf, userIdOf, type OAuthUser } from '../grants/user';
import { redirect, withParameters } from '../http/redirect';
import { notSignedInPage } from '../pages/error';
import type { Page } from '../pages/layout';
import { grantContext, type AuthorizationRequest, type Decision, type Prompt } from './authorization-request';
import type { Subjects } from '../tokens/subject';
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
    /** `login` is among them also where an older sign-in, a weaker one or another user will not do. */
    readonly prompt: readonly Prompt[];
    /** Seconds. */
    readonly maxAge: number | undefined;
    readonly loginHint: string | undefined;
    readonly uiLocales: string | undefined;
    readonly display: string | undefined;
    /** In the order of preference, those that are needed first; `user.acr` says what became of it. */
    readonly acrValues: readonly string[];
  };
}

/** A path or URL that gets `return_to`, `prompt`, `max_age`, `login_hint`, `ui_locales` and `acr_values`; or a function that answers the request itself. */
export type LoginUrl = string | ((req: Request, res: Response, context: LoginContext) => unknown);

/** Gives the user who is signed in; or answers the request, and gives `undefined`. */
export type SignIn = (
  req: Request,
  res: Response,
  request: AuthorizationRequest,
  resumed: Resumed,
  from: {
    readonly decision: Decision | undefined;
    /** Who has signed in through a provider: the host's own login is not asked then. */
    readonly providerUser: OAuthUser | undefined;
  },
) => Promise<OAuthUser | undefined>;

interface SignInOptions {
  authenticate: Authenticate<OAuthUser>;
  loginUrl: LoginUrl;
  resumption: Resumption;
  subjects: Subjects;
  policies: Policies;
  page: Page;
  clock: () => number;
}

/** @see OpenID Connect Core §3.1.2.1 and §3.1.2.3 */
export function signIn(options: SignInOptions): SignIn {
  const { authenticate, loginUrl, resumption, subjects, policies, page, clock } = options;

  return async (req, res, request, resumed, { decision, providerUser }) => {
    const user = providerUser ?? (await authenticate(req)) ?? undefined;
    const { progress } = resumed;
    const shortcoming = user && shortcomingOf(user, request, progress, decision, { now: clock(), subjects });
    const isSelected = !request.prompt.includes('select_account') || progress.detours > 0;
    if (user && isSelected && shortcoming === undefined) return user;

    if (request.prompt.includes('none')) throw new OAuthError('login_required', 'The user is not signed in');
    if (shortcoming !== undefined && progress.asked) {
      // OpenID Connect Core Unmet Authentication Requirements §2
      const code = shortcoming === 'acr' ? 'unmet_authentication_requirements' : 'login_required';
      throw new OAuthError(code, 'The user did not sign in as requested', {
        reason: `not satisfied: ${shortcoming}`,
      });
    }

    const lifetime = policies.parkedRequestLifetime(grantContext(request));
    // One that wants a fresh sign-in is spent with its code: who comes back to it later has not just signed in.
    const always = req.method === 'POST' || request.prompt.length > 0 || request.maxAge !== undefined;
    const parked = await resumption.park(resumed, { always, lifetime });
    const resumeUrl = (next: Partial<Progress>): string =>
      resumption.url({ ...parked, progress: { ...parked.progress, ...next } }, lifetime);
    if (!user && progress.detours > 0) {
      page(res, 400, notSignedInPage(resumeUrl({ detours: 0 })));
      return undefined;
    }
    // A login that finds somebody signed in would send the browser straight back, unless it is told to ask.
    const asks: readonly Prompt[] = shortcoming === undefined ? [] : ['login'];
    const prompt = [...new Set([...request.prompt, ...asks])];
    const next = { detours: progress.detours + 1, asked: prompt.includes('login') };
    await sendToLogin(req, res, { ...request, prompt }, resumeUrl(next));
    return undefined;
  };

  async function sendToLogin(
    req: Request,
    res: Response,
    request: AuthorizationRequest,
    resumeUrl: string,
  ): Promise<void> {
    const { client, scope, resources, prompt, maxAge, loginHint, uiLocales, display, claims } = request;
    const acrValues = [...new Set([...claims.essentialAcr, ...request.acrValues])];
    if (typeof loginUrl === 'function') {
      const shown = { client, scope, resources, prompt, maxAge, loginHint, uiLocales, display, acrValues };
      await loginUrl(req, res, { resumeUrl, request: shown });
      return;
    }
    const parameters = {
      return_to: resumeUrl,
      prompt: prompt.join(' ') || undefined,
      login_hint: loginHint,
      max_age: maxAge === undefined ? undefined : String(maxAge),
      ui_locales: uiLocales,
      acr_values: acrValues.join(' ') || undefined,
    };
    redirect(res, withParameters(loginUrl, parameters));
  }
}

/** How long after it a sign-in is fresh. Seconds. */
const GRACE = 900;
/** Seconds. */
const CLOCK_SKEW = 30;

/** What keeps the one who is signed in from being the one that this request wants. */
type Shortcoming = 'authTime' | 'acr' | 'user';

export function shortcomingOf(
  user: OAuthUser,
  request: AuthorizationRequest,
  progress: Progress,
  decision: Decision | undefined,
  { now, subjects }: { now: number; subjects: Subjects },
): Shortcoming | undefined {
  const { client, expectedSubs } = request;
  const { essentialAcr } = request.claims;
  const userId = userIdOf(user, client);
  // Who decides on the consent page signed in in time to see it.
  if (decision?.userId !== userId && !isTimely(user, request, progress, now)) return 'authTime';
  if (essentialAcr.length > 0 && !essentialAcr.includes(user.acr ?? '')) return 'acr';
  const sub = subjects.sub(client, userId);
  return expectedSubs.every((subs) => subs.includes(sub)) ? undefined : 'user';
}

/** `prompt=login` and `max_age`: satisfied by a sign-in since the request came, or by one that is young enough. */
function isTimely(
  user: OAuthUser,
  { prompt, maxAge }: AuthorizationRequest,
  { startedAt, detours, signedIn }: Progress,
  now: number,
): boolean {
  const authTime = authTimeOf(user) ?? -Infinity;
  const age = now / 1000 - authTime;
  // A provider's clock is not ours.
  const skew = signedIn ? CLOCK_SKEW : 0;
  const isNew = detours > 0 && authTime + skew >= Math.floor(startedAt / 1000);
  if (isNew && age <= Math.max(maxAge ?? 0, GRACE)) return true;
  return !prompt.includes('login') && maxAge !== 0 && age <= (maxAge ?? Infinity);
}
