import Joi from 'joi';

import type { Client } from '../clients/client';
import { refusePromise } from '../hooks';
import { VERIFICATION_ALGORITHMS } from '../tokens/algorithms';

/** What every upstream provider has. */
interface CommonProviderOptions {
  /** This server's `client_id` at the provider. */
  clientId: string;
  /** Its secret there, or a function that gives one, for providers whose secrets are signed and expire. @defaultValue none */
  clientSecret?: string | (() => string | Promise<string>) | undefined;
  /** @defaultValue `'client_secret_post'` with a secret, else `'none'` */
  tokenEndpointAuthMethod?: 'client_secret_basic' | 'client_secret_post' | 'none';
  /** What is always asked for, separated by spaces. @defaultValue `'openid profile email'`, or nothing for plain OAuth 2.0 */
  scope?: string;
  /**
   * Which scope values clients may add by `provider_scope`: none, any, those listed, or those that the function allows.
   * @defaultValue `false`
   */
  allowExtraScopes?:
    boolean | readonly string[] | ((scope: string, context: { readonly client: Client }) => boolean);
  /** Further parameters of the authorization request, for example `{ access_type: 'offline' }`. @defaultValue none */
  authorizationParameters?: Readonly<Record<string, string>>;
  /** How the provider answers; `'form_post'` makes it post to the callback. @defaultValue `'query'` */
  responseMode?: 'query' | 'form_post';
  /** Only for a provider that refuses PKCE. @defaultValue `true` */
  pkce?: boolean;
  /** Keeps the provider's tokens, encrypted, for `oauth.providerTokens()`. @defaultValue `false` */
  storeTokens?: boolean;
  /** How long the provider may take for all that a callback asks of it. Seconds. @defaultValue 10 */
  timeout?: number;
}

/** A provider that speaks OpenID Connect. */
export interface OidcProviderOptions extends CommonProviderOptions {
  /** Its issuer, where it is discovered (OpenID Connect Discovery §4). */
  issuer: string;
  /** Whether to ask its userinfo endpoint, where not all claims are in the ID token. @defaultValue `true` */
  userinfo?: boolean;
  /** The algorithm of its ID tokens. @defaultValue what it publishes, else RS256 */
  idTokenSignedResponseAlg?: string;
}

/** Where an identity's facts stand in what a provider's userinfo answers; dots lead into objects. */
export interface ClaimNames {
  /** @defaultValue `'sub'` */
  subject?: string;
  /** @defaultValue `'email'` */
  email?: string;
  /** @defaultValue `'email_verified'` */
  emailVerified?: string;
  /** @defaultValue `'name'` */
  name?: string;
  /** @defaultValue `'preferred_username'` */
  username?: string;
  /** @defaultValue `'picture'` */
  picture?: string;
}

/** Gives what is known of the user of an access token. */
export type Userinfo = (accessToken: string) => Promise<Readonly<Record<string, unknown>>>;

/** A provider that speaks plain OAuth 2.0. */
export interface OAuth2ProviderOptions extends CommonProviderOptions {
  authorizationEndpoint: string;
  tokenEndpoint: string;
  /** Where the user's profile is, as a JSON object; or a function that gets it. */
  userinfo: string | Userinfo;
  /** Where the user's addresses are, as a list of `{ email, primary, verified }`. @defaultValue the profile's own */
  emails?: string;
  /** @defaultValue the names of OpenID Connect Core §5.1 */
  claims?: ClaimNames;
  /** What it calls itself in `iss` (RFC 9207). @defaultValue `iss` is not looked at */
  issuer?: string;
}

/** An upstream provider, from `oidcProvider()` or `oauth2Provider()`. */
export type Provider =
  | (Readonly<OidcProviderOptions> & { readonly protocol: 'oidc' })
  | (Readonly<OAuth2ProviderOptions> & { readonly protocol: 'oauth2' });

/**
 * A provider of OpenID Connect to sign in through.
 *
 * @example
 * providers: { google: oidcProvider({ ...providerPresets.google, clientId, clientSecret }) }
 * @see OpenID Connect Core §3.1
 */
export function oidcProvider(options: OidcProviderOptions): Provider {
  return Object.freeze({ ...options, protocol: 'oidc' });
}

/**
 * A provider of plain OAuth 2.0 to sign in through: who the user is comes from its userinfo.
 *
 * @example
 * providers: { github: oauth2Provider({ ...providerPresets.github, clientId, clientSecret }) }
 * @see RFC 6749 §4.1
 */
export function oauth2Provider(options: OAuth2ProviderOptions): Provider {
  return Object.freeze({ ...options, protocol: 'oauth2' });
}

/** The id of a provider, which stands in paths. */
export const PROVIDER_ID = /^[\w-]{1,64}$/;

/** What this server says itself in its authorization request. */
const OWN_PARAMETERS = [
  'client_id',
  'code_challenge',
  'code_challenge_method',
  'nonce',
  'redirect_uri',
  'request',
  'request_uri',
  'response_mode',
  'response_type',
  'scope',
  'state',
];

function providerSchema(allowHttp: boolean): Joi.Schema {
  const url = Joi.string()
    .uri({ scheme: allowHttp ? ['https', 'http'] : 'https' })
    .pattern(/#/, { invert: true, name: 'fragment' });
  const common = {
    clientId: Joi.string().required(),
    clientSecret: Joi.alternatives(Joi.string(), Joi.function()),
    tokenEndpointAuthMethod: Joi.valid('client_secret_basic', 'client_secret_post', 'none'),
    scope: Joi.string().allow(''),
    allowExtraScopes: Joi.alternatives(Joi.boolean(), Joi.array().items(Joi.string()), Joi.function()),
    authorizationParameters: Joi.object(
      Object.fromEntries(OWN_PARAMETERS.map((name) => [name, Joi.forbidden()])),
    )
      .keys({ prompt: Joi.string().invalid('none') })
      .pattern(Joi.string(), Joi.string()),
    responseMode: Joi.valid('query', 'form_post'),
    pkce: Joi.boolean(),
    storeTokens: Joi.boolean(),
    timeout: Joi.number().positive().max(60),
  };
  const oidc = Joi.object({
    ...common,
    protocol: Joi.valid('oidc'),
    issuer: url.required(),
    userinfo: Joi.boolean(),
    scope: Joi.string().pattern(/(^| )openid( |$)/, 'openid'),
    idTokenSignedResponseAlg: Joi.valid(...VERIFICATION_ALGORITHMS),
  });
  const claimNames = ['subject', 'email', 'emailVerified', 'name', 'username', 'picture'];
  const oauth2 = Joi.object({
    ...common,
    protocol: Joi.valid('oauth2'),
    authorizationEndpoint: url.required(),
    tokenEndpoint: url.required(),
    userinfo: Joi.alternatives(url, Joi.function()).required(),
    emails: url,
    claims: Joi.object(Object.fromEntries(claimNames.map((name) => [name, Joi.string()]))),
    issuer: Joi.string(),
  });
  return Joi.alternatives().conditional(Joi.object({ protocol: 'oidc' }).unknown(), {
    then: oidc,
    otherwise: oauth2,
  });
}

/** Every fault of the providers, as sentences. */
export function providerFaults(
  providers: Readonly<Record<string, Provider>>,
  { allowHttp }: { allowHttp: boolean },
): string[] {
  if (providers instanceof Map || Array.isArray(providers))
    return ['"providers" must be an object of providers'];
  const schema = providerSchema(allowHttp);
  return Object.entries(providers).flatMap(([id, provider]) => {
    const label = `providers.${id}`;
    if (!PROVIDER_ID.test(id)) return [`"providers" has the id ${id}: letters, digits, - and _ only`];
    if (!['oidc', 'oauth2'].includes(String((provider as Provider | undefined)?.protocol))) {
      return [`"${label}" must come from oidcProvider() or oauth2Provider()`];
    }
    // An environment variable that is not set must not make a public client of a confidential one.
    const unset = Object.entries<unknown>({ ...provider }).find(
      ([, value]) => value === undefined || value === '',
    );
    if (unset && unset[0] !== 'scope') return [`"${label}.${unset[0]}" is not set`];
    const { error } = schema.validate(provider, { abortEarly: false, convert: false });
    const { tokenEndpointAuthMethod: method = 'none', clientSecret } = provider;
    if (!error && method !== 'none' && clientSecret === undefined)
      return [`"${label}.clientSecret" is missing`];
    return error?.details.map(({ message }) => `${label}: ${message}`) ?? [];
  });
}

/** Whether a client may ask for this scope value on top. */
export function allowsExtraScope(provider: Provider, scope: string, client: Client): boolean {
  const { allowExtraScopes: allowed = false } = provider;
  if (typeof allowed === 'function') {
    const answer: unknown = allowed(scope, { client });
    refusePromise(answer, 'allowExtraScopes');
    return answer === true;
  }
  return typeof allowed === 'object' ? allowed.includes(scope) : allowed;
}
