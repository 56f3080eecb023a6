import { scopeValues, type Client } from '../clients/client';
import { accessDenied } from '../errors';
import { REVOCATION_GRACE, type ActiveToken, type TokenStatus } from '../grants/status';
import type { LoadedUser, UserLoader } from '../host/load-user';
import { audiencesOf, type AccessTokenClaims, type AccessTokens } from '../tokens/access-token';
import { decodeJwt } from '../tokens/jwt';
import {
  fromAnotherServer,
  refuseThirdParty,
  unusable,
  type LinkPermission,
  type LinkTickets,
} from './tickets';

/** A permission to link, with the ticket that it came from still to be spent. */
export interface PresentedPermission extends LinkPermission {
  /** Spends the ticket; an access token is not spent. */
  spend(): Promise<void>;
}

/** Reads the parameter `token` of a link: a ticket, or an access token where that is allowed. */
export interface LinkTokens {
  /**
   * Returns the permission that an active access token gives, or `undefined` if its user no longer exists.
   * @throws OAuthError `access_denied` for another party's client
   */
  ofAccessToken(claims: AccessTokenClaims, active: ActiveToken): Promise<LinkPermission | undefined>;
  /** Returns the permission of `token`. @throws OAuthError `login_required` or `access_denied` */
  read(token: string, clientId: string): Promise<PresentedPermission>;
  /**
   * Checks that a permission has not been withdrawn: its token and grant are not revoked, and its user exists.
   * @returns the user that `loadUser` returned
   * @throws OAuthError `login_required` or `access_denied`
   */
  require(permission: LinkPermission): Promise<LoadedUser<unknown>>;
}

interface LinkTokenOptions {
  issuer: string;
  /** The host's own API: a token for another API must not give access to an account. */
  defaultAudience: string;
  /** The scope that an access token needs. */
  linkScope: readonly string[];
  /** Whether an access token is accepted without a ticket. */
  linkWithAccessTokens: boolean;
  linkTickets: LinkTickets;
  accessTokens: AccessTokens;
  status: TokenStatus;
  loadUser: UserLoader<unknown>;
}

export function createLinkTokens(options: LinkTokenOptions): LinkTokens {
  const { issuer, defaultAudience, linkScope, linkTickets, accessTokens, status, loadUser } = options;

  async function ofAccessToken(
    claims: AccessTokenClaims,
    { client }: ActiveToken,
  ): Promise<LinkPermission | undefined> {
    const { sub: userId } = claims;
    const scope = scopeValues(claims.scope);
    refuseThirdParty(client);
    if (!(await load(userId, client, scope))) return undefined;
    const { jti, client_id, iat, exp, nbf, auth_time: authTime, acr, amr } = claims;
    return {
      userId,
      clientId: client.clientId,
      scope,
      authTime,
      acr: typeof acr === 'string' ? acr : undefined,
      amr: Array.isArray(amr) ? (amr as string[]) : undefined,
      accessToken: {
        jti,
        client_id,
        iat,
        exp,
        ...(nbf !== undefined && { nbf }),
        bySecret: accessTokens.isSignedBySecret(claims),
      },
    };
  }

  async function load(
    userId: string,
    client: Client,
    scope: readonly string[],
  ): Promise<LoadedUser<unknown> | undefined> {
    return loadUser(userId, { purpose: 'link', client, scope, resources: [defaultAudience] });
  }

  async function requireStanding({
    accessToken,
    userId,
    scope,
  }: LinkPermission): Promise<LoadedUser<unknown>> {
    // The token may expire while the user signs in at the provider; its revocation is remembered for longer.
    const exp = accessToken.exp + REVOCATION_GRACE;
    const active = await status({ ...accessToken, exp }, accessToken);
    if (!active) throw unusable('access token revoked');
    const { client, grant } = active;
    if (grant && grant.userId !== userId) throw unusable('grant of another user');
    refuseThirdParty(client);
    const loaded = await load(userId, client, scope);
    if (!loaded) throw unusable('loadUser found no user');
    return loaded;
  }

  async function read(token: string, clientId: string): Promise<PresentedPermission> {
    const claims = options.linkWithAccessTokens ? accessTokenClaims(token) : undefined;
    const permission = claims
      ? { ...(await ofBareAccessToken(claims)), spend: () => Promise.resolve() }
      : { ...linkTickets.read(token), spend: () => linkTickets.spend(token) };
    if (permission.clientId !== clientId) throw accessDenied('The token was issued to another client');
    if (!claims) await requireStanding(permission);
    return permission;
  }

  /** Returns `undefined` for a text that is not an access token. */
  function accessTokenClaims(token: string): AccessTokenClaims | undefined {
    const claims = accessTokens.read(token);
    const foreign = claims ? undefined : decodeJwt(token)?.claims.iss;
    if (foreign !== undefined && foreign !== issuer) throw fromAnotherServer();
    return claims;
  }

  /** Checks an access token as `POST /link_tickets` would. */
  async function ofBareAccessToken(claims: AccessTokenClaims): Promise<LinkPermission> {
    const active = await status(claims);
    if (!active || claims.sub === claims.client_id) throw unusable('access token expired or revoked');
    // A URL cannot carry the proof that its sender holds the key.
    if (claims.cnf !== undefined) throw unusable('access token is bound to a key');
    if (!audiencesOf(claims).includes(defaultAudience)) throw unusable('access token for another API');
    const granted = scopeValues(claims.scope);
    if (!linkScope.every((value) => granted.includes(value)))
      throw unusable('access token lacks the required scope');
    const permission = await ofAccessToken(claims, active);
    if (!permission) throw unusable('loadUser found no user');
    return permission;
  }

  return { ofAccessToken, read, require: requireStanding };
}
