import { scopeValues } from '../clients/client';
import { OAuthError } from '../errors';
import {
  ofAnotherServer,
  refuseThirdParty,
  unusable,
  type LinkTicket,
  type LinkTickets,
} from '../federation/link-tickets';
import type { UserLoader } from '../grants/token-issuer';
import type { LiveToken, TokenStatus } from '../grants/token-status';
import { audiences, type AccessTokenClaims, type AccessTokens } from '../tokens/access-token';
import { decodeJwt } from '../tokens/jwt';

/** What may stand for a user in `token`. */
export interface LinkTokens {
  /** What an access token that is good for it gives. @throws OAuthError if it is not of a first-party client's user */
  ofAccessToken(claims: AccessTokenClaims, live: LiveToken): Promise<LinkTicket>;
  /** Whom `token` is of. @throws OAuthError `login_required` or `access_denied` */
  read(token: string, clientId: string): Promise<LinkTicket & { spend(): Promise<unknown> }>;
}

interface LinkTokenOptions {
  issuer: string;
  /** Of the host's own API: a token for another one must not open an account. */
  defaultAudience: string;
  /** What an access token must be good for. */
  linkScope: readonly string[];
  /** Whether an access token will do without a ticket. */
  linkWithAccessTokens: boolean;
  linkTickets: LinkTickets;
  accessTokens: AccessTokens;
  status: TokenStatus;
  loadUser: UserLoader<unknown>;
}

export function linkTokens(options: LinkTokenOptions): LinkTokens {
  const { issuer, defaultAudience, linkScope, linkTickets, accessTokens, status, loadUser } = options;

  async function ofAccessToken(claims: AccessTokenClaims, { client }: LiveToken): Promise<LinkTicket> {
    const { sub: userId } = claims;
    const scope = scopeValues(claims.scope);
    refuseThirdParty(client);
    const context = { client, grantType: 'link', userId, scope, resources: [defaultAudience] };
    await loadUser(userId, context).catch((thrown: unknown) => {
      const isGone = thrown instanceof OAuthError && thrown.code === 'invalid_grant';
      throw isGone ? unusable('loadUser found nobody') : thrown;
    });
    const { auth_time: authTime, acr, amr } = claims;
    return {
      userId,
      clientId: client.clientId,
      scope,
      authTime,
      acr: typeof acr === 'string' ? acr : undefined,
      amr: Array.isArray(amr) ? (amr as string[]) : undefined,
    };
  }

  async function read(token: string, clientId: string): Promise<LinkTicket & { spend(): Promise<unknown> }> {
    const claims = options.linkWithAccessTokens ? accessTokenClaims(token) : undefined;
    const ticket = claims
      ? { ...(await ofBareAccessToken(claims)), spend: () => Promise.resolve() }
      : { ...linkTickets.read(token), spend: () => linkTickets.spend(token) };
    if (ticket.clientId !== clientId) throw new OAuthError('access_denied', 'The token is of another client');
    return ticket;
  }

  /** `undefined` for what is no access token at all. */
  function accessTokenClaims(token: string): AccessTokenClaims | undefined {
    const claims = accessTokens.read(token);
    const foreign = claims ? undefined : decodeJwt(token)?.claims.iss;
    if (foreign !== undefined && foreign !== issuer) throw ofAnotherServer();
    return claims;
  }

  /** As `requireToken` would check it at the endpoint of tickets. */
  async function ofBareAccessToken(claims: AccessTokenClaims): Promise<LinkTicket> {
    const live = await status(claims);
    if (!live || claims.sub === claims.client_id) throw unusable('access token expired or revoked');
    // It cannot be proven here who holds it.
    if (claims.cnf !== undefined) throw unusable('access token is bound to a key');
    if (!audiences(claims).includes(defaultAudience)) throw unusable('access token for another API');
    const granted = scopeValues(claims.scope);
    if (!linkScope.every((value) => granted.includes(value)))
      throw unusable('access token without the scope');
    return ofAccessToken(claims, live);
  }

  return { ofAccessToken, read };
}
