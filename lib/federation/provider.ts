import type { Client } from '../clients/client';
import { callHostSync, type Awaitable } from '../host/call';
import { withDefaults } from '../with-defaults';

/** The options that every upstream provider has. */
export interface CommonProviderOptions {
  /** The `client_id` of this server at the provider. */
  clientId: string;
  /**
   * The secret of this server at the provider, or a function that returns it, for secrets that are signed and expire.
   * @defaultValue none
   */
  clientSecret?: string | (() => Awaitable<string>) | undefined;
  /** How this server authenticates. @defaultValue `'client_secret_post'` with a secret, otherwise `'none'` */
  tokenEndpointAuthMethod?: 'client_secret_basic' | 'client_secret_post' | 'none';
  /** The scope of every request, separated by spaces. @defaultValue `'openid profile email'`; none for plain OAuth 2.0 */
  scope?: string;
  /**
   * The scope values that clients may add with `provider_scope`: none, any, a list, or those that a function allows.
   * @defaultValue `false`
   */
  allowExtraScopes?:
    boolean | readonly string[] | ((scope: string, context: { readonly client: Client }) => boolean);
  /** Further parameters of the authorization request, for example `{ access_type: 'offline' }`. @defaultValue none */
  authorizationParameters?: Readonly<Record<string, string>>;
  /** How the provider returns to the callback: `'form_post'` uses POST. @defaultValue the provider's own, a redirect */
  responseMode?: 'query' | 'form_post';
  /** Whether PKCE is used; turn it off only for a provider that refuses it. @defaultValue `true` */
  pkce?: boolean;
  /**
   * Whether an address counts as verified if the provider says so. Turn it on only for a provider that verifies every address
   * itself: whoever controls what it says can then sign in to accounts with the same address. @defaultValue `false`
   */
  trustEmailVerified?: boolean;
  /** Stores the provider's tokens, encrypted, for `oauth.providerTokens()`. @defaultValue `false` */
  storeTokens?: boolean;
  /** How long the provider may take for all requests of one callback. Seconds. @defaultValue `10` */
  timeout?: number;
}

/** An OpenID Connect provider. */
export interface OidcProviderOptions extends CommonProviderOptions {
  /** The issuer, where the provider is discovered (OpenID Connect Discovery §4). */
  issuer: string;
  /** Whether to request userinfo, for providers whose ID token lacks claims. @defaultValue `true` */
  userinfo?: boolean;
  /** The algorithm of its ID tokens. @defaultValue the algorithms in the provider's metadata, otherwise RS256 */
  idTokenSignedResponseAlg?: string;
}

/**
 * The names of an identity's members in a provider's userinfo response. A dot separates the names of nested members; in a list, the
 * name is the position.
 */
export interface ClaimNames {
  /** The user's id. @defaultValue `'sub'` */
  subject?: string;
  /** The e-mail address. @defaultValue `'email'` */
  email?: string;
  /** Whether the e-mail address is verified. @defaultValue `'email_verified'` */
  emailVerified?: string;
  /** The full name. @defaultValue `'name'` */
  name?: string;
  /** The user name. @defaultValue `'preferred_username'` */
  username?: string;
  /** The picture's URL. @defaultValue `'picture'` */
  picture?: string;
}

/** Fetches the profile of an access token's user. */
export type Userinfo = (accessToken: string) => Promise<Readonly<Record<string, unknown>>>;

/** A provider of plain OAuth 2.0. */
export interface OAuth2ProviderOptions extends CommonProviderOptions {
  /** The authorization endpoint. */
  authorizationEndpoint: string;
  /** The token endpoint. */
  tokenEndpoint: string;
  /** The URL of the user's profile, a JSON object, or a function that fetches it. */
  userinfo: string | Userinfo;
  /** The URL of a list of addresses, `{ email, primary, verified }`. @defaultValue the profile's own address */
  emails?: string;
  /** The names of claims in the profile. @defaultValue the names of OpenID Connect Core §5.1 */
  claims?: ClaimNames;
  /** The expected `iss` of its authorization responses (RFC 9207). @defaultValue `iss` is not checked */
  issuer?: string;
}

/** An upstream provider, from `oidcProvider()` or `oauth2Provider()`. */
export type Provider = OidcProvider | OAuth2Provider;

/** An OpenID Connect provider, from `oidcProvider()`. */
export interface OidcProvider extends Readonly<OidcProviderOptions> {
  /** The protocol of the provider. */
  readonly protocol: 'oidc';
}

/** A provider of plain OAuth 2.0, from `oauth2Provider()`. */
export interface OAuth2Provider extends Readonly<OAuth2ProviderOptions> {
  /** The protocol of the provider. */
  readonly protocol: 'oauth2';
}

/**
 * Creates an OpenID Connect provider to sign in through.
 *
 * @example
 * providers: { google: oidcProvider({ ...providerPresets.google, clientId, clientSecret }) }
 * @see OpenID Connect Core §3.1
 */
export function oidcProvider(options: OidcProviderOptions): Provider {
  return Object.freeze({ ...options, protocol: 'oidc' });
}

/**
 * Creates a provider of plain OAuth 2.0 to sign in through: its userinfo identifies the user.
 *
 * @example
 * providers: { github: oauth2Provider({ ...providerPresets.github, clientId, clientSecret }) }
 * @see RFC 6749 §4.1
 */
export function oauth2Provider(options: OAuth2ProviderOptions): Provider {
  return Object.freeze({ ...options, protocol: 'oauth2' });
}

type WithDefaults<Given extends CommonProviderOptions> = Readonly<
  Given &
    Required<
      Pick<
        CommonProviderOptions,
        | 'scope'
        | 'allowExtraScopes'
        | 'authorizationParameters'
        | 'pkce'
        | 'trustEmailVerified'
        | 'storeTokens'
        | 'timeout'
      >
    > & { tokenEndpointAuthMethod: NonNullable<CommonProviderOptions['tokenEndpointAuthMethod']> }
>;

export type ResolvedOidcProvider = WithDefaults<OidcProviderOptions> & {
  readonly protocol: 'oidc';
  readonly userinfo: boolean;
};
export type ResolvedOAuth2Provider = WithDefaults<OAuth2ProviderOptions> & {
  readonly protocol: 'oauth2';
  readonly claims: Required<ClaimNames>;
};
/** {@link Provider} with every default filled in. */
export type ResolvedProvider = ResolvedOidcProvider | ResolvedOAuth2Provider;

/** OpenID Connect Core §5.1 */
export const STANDARD_CLAIM_NAMES: Required<ClaimNames> = {
  subject: 'sub',
  email: 'email',
  emailVerified: 'email_verified',
  name: 'name',
  username: 'preferred_username',
  picture: 'picture',
};

/** Fills in the defaults of a checked provider. */
export function resolveProvider(provider: Provider): ResolvedProvider {
  const common = {
    allowExtraScopes: false,
    authorizationParameters: {},
    pkce: true,
    trustEmailVerified: false,
    storeTokens: false,
    timeout: 10,
    tokenEndpointAuthMethod: provider.clientSecret === undefined ? 'none' : 'client_secret_post',
  } as const;
  if (provider.protocol === 'oidc')
    return { ...common, userinfo: true, ...provider, scope: provider.scope ?? 'openid profile email' };
  return {
    ...common,
    ...provider,
    scope: provider.scope ?? '',
    claims: withDefaults(STANDARD_CLAIM_NAMES, provider.claims ?? {}),
  };
}

/** The id of a provider, which appears in paths. */
export const PROVIDER_ID = /^[\w-]{1,64}$/;

/** Whether a client may add a scope value to the provider's scope. */
export function allowsExtraScope(
  { allowExtraScopes: allowed }: ResolvedProvider,
  scope: string,
  client: Client,
): boolean {
  if (typeof allowed === 'function') {
    const answer: unknown = callHostSync('allowExtraScopes', () => allowed(scope, { client }));
    return answer === true;
  }
  return typeof allowed === 'object' ? allowed.includes(scope) : allowed;
}
