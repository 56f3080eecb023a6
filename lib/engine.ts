import OAuth2Server, { AbstractGrantType, Request, Response } from '@node-oauth/oauth2-server';

import { serverError } from './errors';
import type { GrantType, TokenRequest, TokenSet } from './token/grant-type';

/*
 * The engine is @node-oauth/oauth2-server, the maintained continuation of oauth2-server. It is used because its grant types are
 * the interface that Express teams know. It dispatches every token request. Only this module imports it.
 *
 * The cost is a request, a response, a handler and a grant type object of the engine for each token request, about five percent
 * of the request's time. Nothing is looked up twice: the endpoint has already found the grant type, authenticated the client and
 * read the grant. The engine gets the same class for every `grant_type`; it runs the grant type that the request carries.
 *
 * Its authorize and authenticate handlers and its client check are not used: they cannot require PKCE, they configure client
 * authentication for each grant type instead of for each client, and they lose error parameters if the redirect URI has a query.
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

/** The grant type and the request to run. The engine copies unknown properties of its own request, and so passes them on. */
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
    // Members that hooks added bypass the engine, because some names have a meaning for it.
    return { tokens, body: { ...tokens.members, ...(response.body as Record<string, unknown>) } };
  }

  return { dispatch };
}

/** The class of every grant type in the engine: it runs the grant type that the request carries. */
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
