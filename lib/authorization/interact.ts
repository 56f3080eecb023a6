import type { Request } from 'express';

import { allowedClaims } from '../host/standard-claims';
import { authenticationOf, userIdOf } from '../host/user';
import type { Decision } from './arrival';
import type { IssueCode } from './code';
import type { ConsentStep } from './consent';
import type { DepartureConsent } from './departure-consent';
import type { FindHeaderSubject } from './out-of-band';
import type { Outcome } from './outcome';
import type { ProviderDeparture } from './provider-departure';
import type { PendingRequest } from './progress';
import type { AuthorizationRequest, SignedInRequest } from './request';
import type { SignIn } from './sign-in';

/** Leads a request through the provider, the login and the consent page to its code. @throws OAuthError for the client */
export type Interact = (
  req: Request,
  request: AuthorizationRequest,
  pending: PendingRequest,
  decision: Decision | undefined,
) => Promise<Outcome>;

interface InteractionSteps {
  findHeaderSubject: FindHeaderSubject;
  departureConsent: DepartureConsent;
  providerDeparture: ProviderDeparture;
  signIn: SignIn;
  consent: ConsentStep;
  issueCode: IssueCode;
}

export function createInteract(steps: InteractionSteps): Interact {
  const { findHeaderSubject, departureConsent, providerDeparture, signIn, consent, issueCode } = steps;

  return async (req, requested, pending, decision) => {
    const { progress } = pending;
    const { providerUser } = progress;
    const request = limited(requested, providerUser?.scopeLimit);
    if (request.outOfBand === 'json') {
      const subject = await findHeaderSubject(req, request, progress);
      const code = await issueCode({ ...request, ...subject }, progress);
      return { kind: 'code', code, transactionId: undefined };
    }

    const { federation } = request;
    if (federation && !providerUser) {
      const departing = await departureConsent(req, request, pending, decision);
      if (departing.kind !== 'allowed') return departing;
      return providerDeparture(req, { ...request, federation }, departing.pending);
    }

    const signedIn = await signIn(req, request, pending, decision);
    if (signedIn.kind !== 'user') return signedIn;
    const { user } = signedIn;
    const withUser: SignedInRequest = {
      ...request,
      user,
      userId: userIdOf(user, request.client),
      authentication: authenticationOf(user),
    };

    const allowed = await consent(withUser, pending, decision);
    if (allowed.kind !== 'allowed') return allowed;
    const code = await issueCode(narrowed(withUser, allowed.scope), progress);
    return { kind: 'code', code, transactionId: providerUser?.transactionId };
  };
}

/** Narrows a request to the scope of the token that identified the user of a link. */
function limited(request: AuthorizationRequest, limit: readonly string[] | undefined): AuthorizationRequest {
  return limit ? narrowed(request, limit) : request;
}

function narrowed<Request extends AuthorizationRequest>(request: Request, scope: readonly string[]): Request {
  return {
    ...request,
    scope: request.scope.filter((value) => scope.includes(value)),
    claims: { ...request.claims, ...allowedClaims(request.claims, scope) },
  };
}
