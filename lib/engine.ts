import OAuth2Server, { AbstractGrantType, Request, Response } from '@node-oauth/oauth2-server';

import { serverError } from './errors';
import type { GrantType, TokenRequest, TokenSet } from './token/grant-type';

/*
 * The engine is @node-oauth/oauth2-server, the maintained continuation of oauth2-server. It stays because its grant types are the
 * interface that Express teams know, and it dispatches every token request. Only this module imports it.
 *
 * The price is one object of the engine's request, response, handler and grant class for each token request, some five percent of
 * its time. Nothing is looked up twice: the endpoint has found the grant type, authenticated the client and read the grant, and
 * the engine gets one class for every `grant_type`, which runs what the request carries.
 *
 * Its authorize and authenticate handlers and its client check are not used: they cannot require PKCE, authenticate clients for
 * each grant instead of for each client, and lose error parameters of redirect URIs that have a query.
 */

/** Runs a token request through its grant type, and creates the response of RFC 6749 §5.1. */
export interface TokenEngine {
  dispatch(grantType: GrantType, request: TokenRequest): Promise<EngineResponse>;
}

export interface EngineResponse {
  readonly tokens: TokenSet;
  /** The members of the JSON body. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** The engine's own grant types: each is overridden, so that none of their code runs. */
const BUILT_IN = ['authorization_code', 'client_credentials', 'refresh_token', 'password'];

/** A request on its way through the engine, which copies unknown properties of its own request. */
interface Carrier {
  readonly grantType: GrantType;
  readonly request: TokenRequest;
  tokens?: TokenSet;
}

/** @param names the values of `grant_type` that the server supports */
export function createTokenEngine(names: readonly string[]): TokenEngine {
  const server = new OAuth2Server({
    model: {
      getClient: (clientId: string) => Promise.resolve({ id: clientId, grants: [...names] }),
      saveToken: unused,
      getAccessToken: unused,
    },
    extendedGrantTypes: Object.fromEntries([...BUILT_IN, ...names].map((name) => [name, CarriedGrantType])),
    // The client has authenticated by its own registered method, and its credentials are not passed on.
    requireClientAuthentication: Object.fromEntries(names.map((name) => [name, false])),
    allowExtendedTokenAttributes: true,
  });

  async function dispatch(grantType: GrantType, tokenRequest: TokenRequest): Promise<EngineResponse> {
    const carrier: Carrier = { grantType, request: tokenRequest };
    const request = new Request({
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '1' },
      query: {},
      body: { grant_type: grantType.name, client_id: tokenRequest.client.clientId },
      carrier,
    } as ConstructorParameters<typeof Request>[0]);
    const response = new Response({});
    try {
      await server.token(request, response);
    } catch (thrown) {
      // The engine wraps our errors, and its response to them is not used.
      throw (thrown as { inner?: unknown }).inner ?? thrown;
    }
    if (!carrier.tokens) throw serverError(new Error('the engine did not run the grant type'));
    const { tokens } = carrier;
    // Hooks' members bypass the engine, to which some names have a meaning.
    return { tokens, body: { ...tokens.members, ...(response.body as Record<string, unknown>) } };
  }

  return { dispatch };
}

/** Every grant type of the engine: it runs the grant type that the request carries. */
class CarriedGrantType extends AbstractGrantType {
  async handle(request: Request): Promise<OAuth2Server.Token> {
    const { carrier } = request as unknown as { carrier?: Carrier };
    if (!carrier) throw serverError(new Error('the engine lost the request'));
    const { grantType, request: tokenRequest } = carrier;
    const tokens = await grantType.respond(tokenRequest);
    carrier.tokens = tokens;
    return {
      accessToken: tokens.accessToken,
      refreshToken: tokens.refreshToken,
      scope: [...tokens.context.scope],
      // From a date, the engine would compute a lifetime that is a second too short.
      expires_in: tokens.expiresIn,
      token_type: tokens.tokenType,
      ...(tokens.idToken !== undefined && { id_token: tokens.idToken }),
      client: { id: tokens.context.client.clientId, grants: [grantType.name] },
      user: {},
    };
  }
}

function unused(): Promise<never> {
  return Promise.reject(serverError(new Error('the engine must not call this')));
}
