import OAuth2Server, { AbstractGrantType, Request, Response } from '@node-oauth/oauth2-server';

import { serverError } from './errors';
import type { GrantType, TokenRequest } from './token/grant-type';
import type { TokenSet } from './token/issuer';

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

const FORM = 'application/x-www-form-urlencoded';

/**
 * A request of the engine that carries the grant type and the request to run. The endpoint has read the body, whatever its form: the engine's
 * own look at the headers would be its largest part.
 */
class CarrierRequest extends Request {
  tokens: TokenSet | undefined;

  constructor(
    readonly grantType: GrantType,
    readonly tokenRequest: TokenRequest,
  ) {
    const body = { grant_type: grantType.name, client_id: tokenRequest.client.clientId };
    super({ method: 'POST', headers: {}, query: {}, body });
  }

  override is(): string {
    return FORM;
  }
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
    const request = new CarrierRequest(grantType, tokenRequest);
    const response = new Response({});
    try {
      await server.token(request, response);
    } catch (thrown) {
      // The engine wraps our errors, and its response to them is not used.
      throw (thrown as { inner?: unknown }).inner ?? thrown;
    }
    const { tokens } = request;
    if (!tokens) throw serverError(new Error('the engine did not run the grant type'));
    // Members that hooks added bypass the engine, because some names have a meaning for it.
    return { tokens, body: { ...tokens.members, ...(response.body as Record<string, unknown>) } };
  }

  return { dispatch };
}

/** The class of every grant type in the engine: it runs the grant type that the request carries. */
class CarriedGrantType extends AbstractGrantType {
  async handle(request: Request): Promise<OAuth2Server.Token> {
    if (!(request instanceof CarrierRequest)) throw serverError(new Error('the engine lost the request'));
    const { grantType, tokenRequest } = request;
    const tokens = await grantType.respond(tokenRequest);
    request.tokens = tokens;
    return {
      accessToken: tokens.accessToken,
      refreshToken: tokens.refreshToken,
      scope: [...tokens.context.scope],
      // From a date, the engine would compute a lifetime that is a second too short.
      expires_in: tokens.expiresIn,
      token_type: tokens.tokenType,
      id_token: tokens.idToken,
      client: { id: tokens.context.client.clientId, grants: [grantType.name] },
      user: {},
    };
  }
}

function unused(): Promise<never> {
  return Promise.reject(serverError(new Error('the engine must not call this')));
}
