import type { OAuth2ProviderOptions, OidcProviderOptions } from './provider';

/** The public settings of an OpenID Connect provider. */
export type OidcPreset = Omit<OidcProviderOptions, 'clientId'>;
/** The public settings of a plain OAuth 2.0 provider. */
export type OAuth2Preset = Omit<OAuth2ProviderOptions, 'clientId'>;

/** The presets, by provider. */
export interface ProviderPresets {
  /** Google. */
  readonly google: OidcPreset;
  /** All Microsoft accounts; for one tenant, override `issuer` with the tenant's id in it. */
  readonly microsoft: OidcPreset;
  /** Apple. `clientSecret` must be a function that signs the JWT that Apple requires. */
  readonly apple: OidcPreset;
  /** GitLab. */
  readonly gitlab: OidcPreset;
  /** Slack. */
  readonly slack: OidcPreset;
  /** GitHub. */
  readonly github: OAuth2Preset;
  /** Facebook. */
  readonly facebook: OAuth2Preset;
  /** Discord. */
  readonly discord: OAuth2Preset;
}

/**
 * The public settings of well-known providers. Spread a preset into `oidcProvider()` or `oauth2Provider()` and override what
 * differs. `trustEmailVerified` says whether the provider's word about e-mail addresses is good enough to find an account by.
 */
export const providerPresets: ProviderPresets = {
  google: { issuer: 'https://accounts.google.com', userinfo: false, trustEmailVerified: true },
  // An administrator of any tenant can give an account any address.
  microsoft: {
    issuer: 'https://login.microsoftonline.com/common/v2.0',
    userinfo: false,
    trustEmailVerified: false,
  },
  apple: {
    issuer: 'https://appleid.apple.com',
    scope: 'openid name email',
    responseMode: 'form_post',
    userinfo: false,
    trustEmailVerified: true,
  },
  gitlab: { issuer: 'https://gitlab.com', trustEmailVerified: true },
  // An administrator of any workspace can give an account any address.
  slack: { issuer: 'https://slack.com', trustEmailVerified: false },
  github: {
    issuer: 'https://github.com/login/oauth',
    authorizationEndpoint: 'https://github.com/login/oauth/authorize',
    tokenEndpoint: 'https://github.com/login/oauth/access_token',
    userinfo: 'https://api.github.com/user',
    emails: 'https://api.github.com/user/emails',
    scope: 'read:user user:email',
    trustEmailVerified: true,
    claims: { subject: 'id', username: 'login', picture: 'avatar_url' },
  },
  facebook: {
    authorizationEndpoint: 'https://www.facebook.com/v23.0/dialog/oauth',
    tokenEndpoint: 'https://graph.facebook.com/v23.0/oauth/access_token',
    userinfo: 'https://graph.facebook.com/v23.0/me?fields=id,name,email,picture',
    scope: 'public_profile email',
    // It does not say whether an address is verified.
    trustEmailVerified: false,
    claims: { subject: 'id', picture: 'picture.data.url' },
  },
  discord: {
    authorizationEndpoint: 'https://discord.com/oauth2/authorize',
    tokenEndpoint: 'https://discord.com/api/oauth2/token',
    userinfo: 'https://discord.com/api/users/@me',
    scope: 'identify email',
    trustEmailVerified: true,
    claims: { subject: 'id', emailVerified: 'verified', name: 'global_name', username: 'username' },
  },
};
