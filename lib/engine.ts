import OAuth2Server, { AbstractGrantType, Request, Response } from '@node-oauth/oauth2-server';

import { serverError } from './errors';
import type { GrantType, TokenRequest } from './grants/grant-type';
import type { TokenSet } from './grants/token-issuer';

/** Dispatches a token request to its grant type, and writes the response of RFC 6749 §5.1. */
export interface TokenEngine {
  dispatch(grantType: string, request: TokenRequest): Promise<EngineResponse>;
}

export interface EngineResponse {
  readonly tokens: TokenSet;
  /** The members of the JSON body. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** The engine's own; each is overridden or closed. */
const BUILT_IN = ['authorization_code', 'client_credentials', 'refresh_token', 'password'];

/** What our requests carry through the engine: it copies unknown properties of a request. */
interface Carrier {
  tokenRequest?: TokenRequest;
  tokens?: TokenSet;
}

export function tokenEngine(grantTypes: readonly GrantType[]): TokenEngine {
  const closed = BUILT_IN.filter((builtIn) => !grantTypes.some(({ name }) => name === builtIn)).map(
    closedGrant,
  );
  const names = grantTypes.map(({ name }) => name);
  const server = new OAuth2Server({
    model: {
      getClient: (clientId: string) => Promise.resolve({ id: clientId, grants: names }),
      saveToken: never,
      getAccessToken: never,
    },
    extendedGrantTypes: Object.fromEntries(
      [...grantTypes, ...closed].map((grantType) => [grantType.name, bridge(grantType)]),
    ),
    // It checks no credentials: the client has authenticated by its own registered method, and none of them reach it.
    requireClientAuthentication: Object.fromEntries(names.map((name) => [name, false])),
    allowExtendedTokenAttributes: true,
  });

  async function dispatch(grantType: string, tokenRequest: TokenRequest): Promise<EngineResponse> {
    const carrier: Carrier = { tokenRequest };
    const request = new Request({
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '1' },
      query: {},
      body: { grant_type: grantType, client_id: tokenRequest.client.clientId },
      carrier,
    } as ConstructorParameters<typeof Request>[0]);
    const response = new Response({});
    try {
      await server.token(request, response);
    } catch (thrown) {
      // Ours comes back wrapped; the engine's response to it is not used.
      throw (thrown as { inner?: unknown }).inner ?? thrown;
    }
    if (!carrier.tokens) throw serverError(new Error('the engine answered without a grant'));
    const { tokens } = carrier;
    // Not through the engine, to which some names of members mean something.
    return { tokens, body: { ...tokens.members, ...(response.body as Record<string, unknown>) } };
  }

  return { dispatch };
}

/** A grant type of ours as the engine's kind of class. */
function bridge({ name, respond }: GrantType): typeof AbstractGrantType {
  return class extends AbstractGrantType {
    async handle(request: Request): Promise<OAuth2Server.Token> {
      const { carrier } = request as unknown as { carrier: Carrier };
      if (!carrier.tokenRequest) throw serverError(new Error('the engine lost the request'));
      const tokens = await respond(carrier.tokenRequest);
      carrier.tokens = tokens;
      return {
        accessToken: tokens.accessToken,
        refreshToken: tokens.refreshToken,
        scope: [...tokens.context.scope],
        // The engine would compute the lifetime from a date, and lose a second.
        expires_in: tokens.expiresIn,
        token_type: tokens.tokenType,
        ...(tokens.idToken !== undefined && { id_token: tokens.idToken }),
        client: { id: tokens.context.client.clientId, grants: [name] },
        user: {},
      };
    }
  };
}

function closedGrant(name: string): GrantType {
  return { name, respond: never };
}

function never(): Promise<never> {
  return Promise.reject(serverError(new Error('this is not used')));
}
