import { OAuthError } from '../errors';
import { accessTokenInfo } from './access-token-info';
import { authInfo, type McpAuthInfo } from './mcp-auth-info';
import { requirementsSchema, type ReadRequirements, type RequireTokenOptions } from './requirements';
import type { Possession, TokenCheck } from './token-check';

/** A verifier of access tokens in the form of the MCP SDK: its `OAuthTokenVerifier`. */
export interface McpTokenVerifier {
  /**
   * Verifies an access token. It throws errors that the SDK's version 2 answers with 401 `invalid_token` and 403 `insufficient_scope`.
   */
  verifyAccessToken(token: string): Promise<McpAuthInfo>;
}

/**
 * Creates a verifier for `requireBearerAuth` of the MCP SDK's version 2. Where it is not needed, prefer `requireToken`, which knows DPoP
 * and step-up too, and `mcpAuthInfo`.
 *
 * @throws OAuthConfigurationError for invalid options
 */
export type CreateMcpTokenVerifier = (options?: RequireTokenOptions) => McpTokenVerifier;

export function createMcpTokenVerifier(options: {
  check: Pick<TokenCheck, 'ofToken'>;
  readRequirements: ReadRequirements;
}): CreateMcpTokenVerifier {
  const { check, readRequirements } = options;
  return (given = {}) => {
    const requirements = readRequirements('mcpTokenVerifier()', given, requirementsSchema);
    return {
      verifyAccessToken: async (token) => {
        try {
          const { claims } = await check.ofToken(token, WITHOUT_PROOF, requirements);
          return authInfo(token, accessTokenInfo(claims), requirements.audience);
        } catch (thrown) {
          throw asSdkError(thrown);
        }
      },
    };
  };
}

/** The SDK passes nothing but the token: one that is bound to a key is refused. */
const WITHOUT_PROOF: Possession = {
  scheme: 'Bearer',
  isShown: false,
  proof: () => undefined,
  certificate: () => undefined,
  sendNonce: () => undefined,
};

/** The mark by which copies of the SDK recognize each other's errors, and the name of its class for errors of OAuth. */
const BRANDS = Symbol.for('mcp.sdk.errorBrands');
const BRAND = 'mcp.OAuthError';

/** Gives an error the form of the SDK's. The SDK answers 401 for one code only; an outage is no fault of the token. */
function asSdkError(thrown: unknown): unknown {
  if (!(thrown instanceof OAuthError) || thrown.status >= 500) return thrown;
  const code = thrown.code === 'insufficient_scope' ? thrown.code : 'invalid_token';
  const error = new OAuthError(code, thrown.message, { cause: thrown });
  return Object.defineProperties(error, {
    [BRANDS]: { value: new Set([BRAND]) },
    toResponseObject: { value: () => ({ error: code, error_description: error.description }) },
  });
}
