import type { Request } from 'express';

import { accessDenied, loginRequired, OAuthError } from '../errors';
import type { BrowserBinding } from '../federation/browser-binding';
import { signedInUser, type Authenticate } from '../host/authenticate';
import type { OAuthUser } from '../host/user';
import type { LinkTokens } from '../linking/link-token';
import type { Policies } from '../policy/policies';
import type { Subjects } from '../tokens/subject';
import type { Decision } from './arrival';
import type { LoginOutcome, NotSignedInOutcome, ReloadOutcome } from './outcome';
import type { PendingRequest, Progress } from './progress';
import { grantContext, type AuthorizationRequest, type Prompt } from './request';
import { prefersOtherAcr, unmetRequirement, type UnmetRequirement } from './requirements';
import type { Resuming } from './resuming';

/** Finds the user of a request, or the outcome that makes the user sign in. @throws OAuthError if a login is not possible */
export type SignIn = (
  req: Request,
  request: AuthorizationRequest,
  pending: PendingRequest,
  decision: Decision | undefined,
) => Promise<
  { readonly kind: 'user'; readonly user: OAuthUser } | LoginOutcome | NotSignedInOutcome | ReloadOutcome
>;

interface SignInOptions {
  authenticate: Authenticate<OAuthUser>;
  binding: BrowserBinding;
  linkTokens: Pick<LinkTokens, 'require'>;
  resuming: Resuming;
  subjects: Subjects;
  policies: Policies;
  /** The values of `acr` that the host's own API requires. */
  knownAcr: ReadonlySet<string>;
  clock: () => number;
}

/** @see OpenID Connect Core §3.1.2.1 and §3.1.2.3 */
export function createSignIn(options: SignInOptions): SignIn {
  const { authenticate, binding, linkTokens, resuming, subjects, policies, knownAcr, clock } = options;

  return async (req, request, pending, decision) => {
    const { progress } = pending;
    const user = await currentUser(req, progress, decision);
    const unmet = user && unmetRequirement(user, request, progress, { decision, now: clock(), subjects });
    const isSelected = !request.prompt.includes('select_account') || progress.detours > 0;
    // The login was told what is preferred; a silent request leads to none, and a decision was made after it.
    const mayAsk = !request.prompt.includes('none') && !decision && progress.detours === 0;
    const isOther = user !== undefined && mayAsk && prefersOtherAcr(user, request, knownAcr);
    if (user && isSelected && unmet === undefined && !isOther) return { kind: 'user', user };
    const lifetime = policies.parkedRequestLifetime(grantContext(request));
    // A form on the client's site does not bring the host's SameSite cookie along: the browser comes back with GET, and with the cookie.
    if (!user && req.method === 'POST' && !decision) {
      const parked = await resuming.park(pending, { once: true });
      return { kind: 'reload', url: resuming.url(parked, lifetime) };
    }
    refuseLogin(request, progress, unmet);
    // A request that requires a fresh sign-in gives one code only: later, the sign-in is not fresh.
    const once = req.method === 'POST' || request.prompt.length > 0 || request.maxAge !== undefined;
    const parked = await resuming.park(pending, { once });
    const resumeUrl = (next: Partial<Progress>): string =>
      resuming.url({ ...parked, progress: { ...parked.progress, ...next } }, lifetime);
    if (!user && progress.detours > 0) return { kind: 'not-signed-in', signInUrl: resumeUrl({ detours: 0 }) };

    // The login must be told to ask: otherwise it would find the user signed in, and send the browser straight back.
    const asks: readonly Prompt[] = unmet === undefined && !isOther ? [] : ['login'];
    const prompt = [...new Set([...request.prompt, ...asks])];
    const next = { detours: progress.detours + 1, asked: prompt.includes('login') };
    return { kind: 'login', request: { ...request, prompt }, resumeUrl: resumeUrl(next) };
  };

  /** Returns the user who is signed in. After a sign-in through a provider, the host's own login is not asked. */
  async function currentUser(
    req: Request,
    { providerUser }: Progress,
    decision: Decision | undefined,
  ): Promise<OAuthUser | undefined> {
    if (!providerUser) return signedInUser(authenticate, req);
    const { transactionId, permission, user } = providerUser;
    if (!binding.isBound(req, transactionId))
      throw accessDenied('This sign-in is over, or was begun in another browser');
    // The consent page may have been open for minutes.
    if (permission && decision) await linkTokens.require(permission);
    return user;
  }
}

/** Refuses a login that must not be shown, or was shown and did not help. @throws OAuthError for the client */
function refuseLogin(
  request: AuthorizationRequest,
  progress: Progress,
  unmet: UnmetRequirement | undefined,
): void {
  if (request.prompt.includes('none')) throw loginRequired('The user is not signed in');
  if (unmet === undefined || !progress.asked) return;
  // OpenID Connect Core Unmet Authentication Requirements §2
  const code = unmet === 'acr' ? 'unmet_authentication_requirements' : 'login_required';
  throw new OAuthError(code, 'The user did not sign in as requested', { reason: `not satisfied: ${unmet}` });
}
