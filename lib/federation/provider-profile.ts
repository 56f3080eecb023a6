import type { Configuration, IDToken } from 'openid-client';

import { isJsonObject, parseJsonObject } from '../json';
import { identityOf, verifiedEmail, type ProviderIdentity } from './identity';
import { STANDARD_CLAIM_NAMES, type ResolvedOAuth2Provider, type ResolvedOidcProvider } from './provider';
import { openidClient } from './provider-configuration';

/** Reads the user of an OpenID Connect provider from the ID token, and from userinfo unless that is turned off. */
export async function readOidcIdentity(
  providerId: string,
  provider: ResolvedOidcProvider,
  config: Configuration,
  { claims, accessToken, user }: { claims: Partial<IDToken>; accessToken: string; user: string | undefined },
): Promise<ProviderIdentity> {
  const { fetchUserInfo } = await openidClient();
  const hasUserinfo = config.serverMetadata().userinfo_endpoint !== undefined;
  const userinfo: Record<string, unknown> =
    provider.userinfo && hasUserinfo ? await fetchUserInfo(config, accessToken, claims.sub ?? '') : {};
  const name = nameInForm(user);
  // An address and its verification must come from the same document.
  const { email, email_verified: emailVerified } = claims.email === undefined ? userinfo : claims;
  const all = {
    ...(name !== undefined && { name }),
    ...userinfo,
    ...claims,
    email,
    email_verified: emailVerified,
  };
  const { trustEmailVerified } = provider;
  return identityOf(providerId, all, { issuer: claims.iss, names: STANDARD_CLAIM_NAMES, trustEmailVerified });
}

/** Reads the user of a plain OAuth 2.0 provider from its profile. */
export async function readOAuth2Identity(
  providerId: string,
  { userinfo, emails, claims: names, issuer, trustEmailVerified }: ResolvedOAuth2Provider,
  config: Configuration,
  accessToken: string,
): Promise<ProviderIdentity> {
  const claims: unknown =
    typeof userinfo === 'function'
      ? await userinfo(accessToken)
      : await fetchResource(config, accessToken, userinfo);
  if (!isJsonObject(claims)) throw new Error('the profile is not an object');
  const identity = identityOf(providerId, claims, { issuer, names, trustEmailVerified });
  if (emails === undefined) return identity;
  const email = verifiedEmail(await fetchResource(config, accessToken, emails));
  return email === undefined ? identity : { ...identity, email, emailVerified: trustEmailVerified };
}

async function fetchResource(config: Configuration, accessToken: string, url: string): Promise<unknown> {
  const { fetchProtectedResource } = await openidClient();
  const headers = new Headers({ accept: 'application/json' });
  const response = await fetchProtectedResource(config, accessToken, new URL(url), 'GET', undefined, headers);
  if (!response.ok) throw Object.assign(new Error('the provider refused'), { status: response.status });
  return response.json();
}

/** Returns the user's name as Apple sends it: once, beside the code and unsigned. Use it for display only. */
function nameInForm(user: string | undefined): string | undefined {
  const name = user === undefined ? undefined : parseJsonObject(user)?.name;
  if (!isJsonObject(name)) return undefined;
  const { firstName, lastName } = name;
  return [firstName, lastName].filter((part) => typeof part === 'string').join(' ') || undefined;
}
