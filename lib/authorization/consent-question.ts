import { isUrlClientId } from '../clients/document-url';
import { isNativeRedirectUri, isOutOfBandUri } from '../clients/redirect-uris';
import { userNameOf, type OAuthUser } from '../host/user';
import type { ConsentView } from '../pages/consent';
import type { Policies } from '../policy/policies';
import type { SealedJson } from '../tokens/sealed-json';
import type { ConsentOutcome } from './outcome';
import type { PendingRequest } from './progress';
import { grantContext, type AuthorizationRequest } from './request';
import type { Carried, Resuming } from './resuming';

/** The person who is asked: a user, or whoever uses a browser before the sign-in at a provider. */
export type Asked =
  | { readonly user: OAuthUser; readonly userId: string; readonly browserId?: undefined }
  | { readonly user?: undefined; readonly userId?: undefined; readonly browserId: string };

/** The contents of the consent page's form, sealed: they cannot be changed, or made for another user or browser. */
export interface ConsentForm extends Carried {
  readonly userId?: string | undefined;
  readonly browserId?: string | undefined;
  readonly scope: readonly string[];
  /** Where the code goes: the registration may change while the page is open. */
  readonly redirectUri: string;
}

/** Creates the outcome that asks for consent. */
export type ConsentQuestion = (
  request: AuthorizationRequest,
  pending: PendingRequest,
  asked: Asked,
) => Promise<ConsentOutcome>;

/** Descriptions of the scope values of OpenID Connect Core §5.4 and §11, unless the host has its own. */
const STANDARD_SCOPES: Readonly<Record<string, string>> = {
  openid: 'Know who you are',
  profile: 'See your name and profile',
  email: 'See your email address',
  address: 'See your postal address',
  phone: 'See your phone number',
  offline_access: 'Keep access while you are away',
};

/** The part of a client's name that a page shows: a longer one could be a sentence of its own. */
const BEGINNING = /^.{0,60}/su;

export function createConsentQuestion(options: {
  consentUrl: string;
  defaultAudience: string;
  /** Descriptions of scope values. */
  scopes: Readonly<Record<string, string>>;
  consentForms: SealedJson<ConsentForm>;
  resuming: Resuming;
  policies: Policies;
  clock: () => number;
}): ConsentQuestion {
  const { consentUrl, defaultAudience, scopes, consentForms, resuming, policies, clock } = options;

  return async (request, pending, { user, userId, browserId }) => {
    const { client, scope } = request;
    const context = grantContext({ ...request, userId });
    const lifetime = policies.parkedRequestLifetime(context);
    const consentLifetime = policies.consentLifetime(context);
    // After a sign-in through a provider the request gives one code only: the sign-in cannot be repeated.
    const once = pending.progress.providerUser !== undefined;
    const parked = await resuming.parkForUser(pending, { once, lifetime });
    const { redirectUri } = request;
    const form: ConsentForm = { ...resuming.carry(parked), userId, browserId, scope, redirectUri };
    const view: ConsentView = {
      ...describeClient(request),
      userName: user && userNameOf(user),
      scopes: scope.map((value) => ({ value, description: describe(value) })),
      resources: request.resources.filter((resource) => resource !== defaultAudience),
      action: consentUrl,
      request: consentForms.seal(form, clock() + consentLifetime * 1000),
    };
    return {
      kind: 'consent',
      context: { ...view, client, user },
      browser: browserId === undefined ? undefined : { id: browserId, lifetime: consentLifetime },
    };
  };

  function describe(scope: string): string {
    return [scopes, STANDARD_SCOPES].find((known) => Object.hasOwn(known, scope))?.[scope] ?? scope;
  }
}

function describeClient({
  client,
  redirectUri,
}: AuthorizationRequest): Pick<
  ConsentView,
  | 'clientName'
  | 'clientUri'
  | 'logoUri'
  | 'policyUri'
  | 'tosUri'
  | 'selfAsserted'
  | 'clientHost'
  | 'destination'
  | 'isLocal'
> {
  const { clientId, selfAsserted } = client;
  const { clientUri, logoUri, policyUri, tosUri } = client.metadata;
  return {
    clientName: selfAsserted ? shortened(client.clientName) : client.clientName,
    clientUri,
    logoUri,
    policyUri,
    tosUri,
    selfAsserted,
    clientHost: selfAsserted && isUrlClientId(clientId) ? new URL(clientId).host : undefined,
    destination: destinationOf(redirectUri),
    isLocal: isNativeRedirectUri(redirectUri),
  };
}

function shortened(name: string): string {
  const [start = name] = BEGINNING.exec(name) ?? [];
  return start === name ? name : `${start}…`;
}

function destinationOf(redirectUri: string): string {
  if (isOutOfBandUri(redirectUri)) return 'a page with a code to copy';
  const { protocol, host } = new URL(redirectUri);
  return /^https?:$/.test(protocol) ? host : `the app for ${protocol}`;
}
