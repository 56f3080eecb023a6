import type { Request } from 'express';

import type { Client } from '../clients/client';
import { isOutOfBandUri, matchesRedirectUri, redirectUriFault } from '../clients/redirect-uris';
import type { ClientRegistry } from '../clients/registry';
import { invalidRequest, type OAuthError } from '../errors';
import { networkOfSender } from '../http/network';
import type { Parameters } from '../http/parameters';
import { providerTargets, type ProviderTargets, type Providers } from './provider-parameters';

/** The client of a request, and the URI registered for it to which the response may go. */
export interface RedirectTarget extends ProviderTargets {
  readonly client: Client;
  readonly redirectUri: string;
  readonly redirectUriGiven: boolean;
  readonly state: string | undefined;
  readonly responseMode: ResponseMode;
  /** Whether no page may be shown: only such a response may be in a frame. */
  readonly isSilent: boolean;
  /** Whether the app asks for the URL to go to, instead of a redirect. */
  readonly asJson?: boolean;
  /** How the code is returned without a redirect, for an out-of-band redirect URI. */
  readonly outOfBand: 'page' | 'json' | undefined;
}

/**
 * How the response reaches the client (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode, JARM §2.3, and
 * draft-sakimura-oauth-wmrm for silent requests in a frame).
 */
export const RESPONSE_MODES = [
  'query',
  'form_post',
  'web_message',
  'jwt',
  'query.jwt',
  'form_post.jwt',
] as const;
export type ResponseMode = (typeof RESPONSE_MODES)[number];

/** Finds the client of a request and checks its redirect URI. @throws OAuthError `invalid_request`, which is shown to the user */
export type FindTarget = (req: Request, parameters: Parameters) => Promise<RedirectTarget>;

/** @see RFC 6749 §3.1.2 and §4.1.2.1 */
export function createFindTarget(options: {
  registry: ClientRegistry;
  allowHttp: boolean;
  providers: Providers;
  responseModes: readonly ResponseMode[];
}): FindTarget {
  const { registry, allowHttp, providers, responseModes } = options;

  return async (req, parameters) => {
    for (const name of ['client_id', 'redirect_uri']) {
      const fault = parameters.faults.get(name);
      if (fault) throw invalidRequest(`The parameter ${name} ${fault}`);
    }
    const clientId = parameters.get('client_id');
    if (clientId === undefined) throw invalidRequest('client_id is missing');
    if (registry.mayBeDocument(clientId)) refuseImplausible(parameters, allowHttp);
    const record = await registry.find(clientId, { mayFetch: true, source: networkOfSender(req) });
    if (!record) throw invalidRequest('The client is unknown', { reason: 'unknown client' });

    const { client } = record;
    const given = parameters.get('redirect_uri');
    const redirectUri = given ?? onlyRedirectUri(client);
    const isOwn = client.redirectUris.some((registered) => matchesRedirectUri(registered, redirectUri));
    if (!isOwn || redirectUriFault(redirectUri, { allowHttp, allowOutOfBand: true })) {
      throw unregistered(redirectUri, client, { isShown: allowHttp });
    }
    return {
      client,
      redirectUri,
      redirectUriGiven: given !== undefined,
      state: parameters.get('state'),
      // An unknown mode is an error, and the response with that error needs a mode.
      responseMode: responseModeOf(parameters, responseModes, redirectUri) ?? 'query',
      isSilent: parameters.get('prompt') === 'none',
      outOfBand: isOutOfBandUri(redirectUri) ? client.outOfBand : undefined,
      ...providerTargets(parameters, client, providers),
    };
  };
}

/**
 * Refuses what cannot be a request of a client with a metadata document, before the document is fetched: anybody can send such requests,
 * and another server has to answer each fetch.
 */
export function refuseImplausible(parameters: Parameters, allowHttp: boolean): void {
  const redirectUri = parameters.get('redirect_uri');
  if (parameters.get('response_type') !== 'code') throw invalidRequest('response_type must be code');
  if (redirectUri === undefined) throw invalidRequest('redirect_uri is missing');
  const fault = redirectUriFault(redirectUri, { allowHttp });
  if (fault !== undefined) throw invalidRequest(`redirect_uri ${fault}`);
  if (parameters.get('code_challenge') === undefined)
    throw invalidRequest('PKCE is required: code_challenge is missing');
}

/** The length of a redirect URI in an event or on a page. Characters. */
const MAXIMUM_SHOWN_LENGTH = 300;

/** Creates the error for a redirect URI that is not registered. The event names the URI; in development, so does the page. */
function unregistered(
  redirectUri: string,
  { redirectUris }: Client,
  { isShown }: { isShown: boolean },
): OAuthError {
  const registered = redirectUris.join(', ') || 'none';
  const given = redirectUri.slice(0, MAXIMUM_SHOWN_LENGTH);
  const details = isShown ? `: ${given} came, registered are ${registered}` : '';
  return invalidRequest(`redirect_uri is not registered for this client${details}`, {
    reason: `redirect_uri ${given}`,
  });
}

/** Returns the requested response mode, or `undefined` for one that is not supported, or not for this redirect URI. */
export function responseModeOf(
  parameters: Parameters,
  responseModes: readonly ResponseMode[],
  redirectUri: string,
): ResponseMode | undefined {
  const given = parameters.get('response_mode') ?? 'query';
  // A message is sent to an origin, which a custom scheme does not have.
  if (given === 'web_message' && !/^https?:/i.test(redirectUri)) return undefined;
  return responseModes.find((mode) => mode === given);
}

/** Returns the only registered URI: the parameter may be left out if there is no other (RFC 6749 §3.1.2.3). */
function onlyRedirectUri({ redirectUris }: Client): string {
  const [only, ...others] = redirectUris;
  if (only === undefined || others.length > 0) throw invalidRequest('redirect_uri is missing');
  return only;
}
