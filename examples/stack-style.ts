/** Works like a vendor's federated sign-in: an app's users come from Google, its keys are publishable, its requests are JSON. */
import express, { type Express } from 'express';
import {
  accountAlreadyLinked,
  accountLinking,
  createOAuthRouter,
  oidcProvider,
  providerPresets,
  type Provider,
} from 'express-oauth-router';
import { listenOnLoopback } from './listen';

/** The host's own users. */
interface User {
  id: string;
  name: string;
  email: string | undefined;
  emailVerified: boolean;
  /** `provider:issuer:subject` of each account that is linked. */
  identities: Set<string>;
}

const PROJECT_ID = 'my-project';
export const SDK_PROJECT_ID = 'sdk-project';
const YEAR = 365 * 86_400;
export const PUBLISHABLE_KEY = 'pck_of_this_example';

/** `sdkPages` are the callback of an app with the vendor's own SDK, and its page for errors. */
export function createApp(
  origin: string,
  google: Provider,
  sdkPages = {
    callback: 'https://example.com/handler/oauth-callback',
    error: 'https://example.com/handler/error',
  },
): Express {
  const users = new Map<string, User>();
  const userWith = (predicate: (user: User) => boolean): User | undefined =>
    [...users.values()].find(predicate);
  const nameOf = (identity: { providerId: string; issuer: string | undefined; subject: string }): string =>
    [identity.providerId, identity.issuer, identity.subject].join(':');

  const oauth = createOAuthRouter({
    issuer: `${origin}/api/v1/auth/oauth`,
    clients: [
      {
        clientId: PROJECT_ID,
        publishableKeys: [PUBLISHABLE_KEY],
        requirePublishableKey: true,
        publishableKeyInQuery: true,
        redirectUris: ['https://example.com/callback', 'https://example.com/dashboard'],
        scope: 'openid email profile',
        firstParty: true,
      },
      {
        // The vendor's SDK compares `iss` with another URL, fetches the authorization URL, and sends a scope value of its own.
        clientId: SDK_PROJECT_ID,
        publishableKeys: [PUBLISHABLE_KEY],
        publishableKeyInQuery: true,
        redirectUris: [sdkPages.callback],
        landingUris: [sdkPages.error],
        authorizationResponseIss: false,
        jsonRedirects: true,
        scope: 'legacy',
        firstParty: true,
      },
    ],
    jsonRedirectParameter: 'stack_response_mode',
    // The SDK never replaces its refresh token: the first one stays good for as long as the leeway, and a thief's copy too.
    refreshTokens: {
      leeway: ({ client }) => (client.clientId === SDK_PROJECT_ID ? YEAR : 30),
      idleLifetime: ({ client }) => (client.clientId === SDK_PROJECT_ID ? YEAR : 30 * 86_400),
    },
    clientHeaders: { id: 'X-Stack-Project-Id', publishableKey: 'X-Stack-Publishable-Client-Key' },

    federation: {
      providers: { google },
      resolveUser: accountLinking<User>({
        emailStrategy: 'link_verified',
        findByIdentity: (identity) => userWith(({ identities }) => identities.has(nameOf(identity))),
        findByEmail: (email) => {
          const user = userWith((candidate) => candidate.email === email);
          if (user?.email === undefined) return undefined;
          const providerIds = [...user.identities].map((identity) => identity.split(':', 1)[0] ?? '');
          return { user, email: user.email, emailVerified: user.emailVerified, providerIds };
        },
        createUser: (identity) => {
          const { email, emailVerified, name = 'somebody' } = identity;
          const id = `user-${users.size + 1}`;
          const user = { id, name, email, emailVerified, identities: new Set([nameOf(identity)]) };
          users.set(id, user);
          return user;
        },
        linkIdentity: ({ id }, identity) => {
          if (userWith(({ identities }) => identities.has(nameOf(identity)))) throw accountAlreadyLinked();
          users.get(id)?.identities.add(nameOf(identity));
        },
      }),
      // This vendor's apps put an access token into `token`; tickets are safer.
      linkWithAccessTokens: true,
    },

    // There is no other way to sign in.
    authenticate: () => undefined,
    loginUrl: (_req, res) =>
      res.status(401).json({ error: 'login_required', error_description: 'Sign in at /authorize/google' }),

    loadUser: (userId) => users.get(userId),
    userClaims: ({ user }) => ({ name: user?.name, email: user?.email, email_verified: user?.emailVerified }),
    claims: ({ client, user }) => (client.clientId === SDK_PROJECT_ID ? sdkClaims(user) : undefined),
    // Further members that this vendor's apps expect.
    tokenResponse: ({ federation }) =>
      federation && {
        newUser: federation.isNewUser,
        afterCallbackRedirectUrl: federation.afterCallbackRedirectUrl ?? null,
      },
    formatError: ({ code }) => ({ code: code.toUpperCase(), details: {} }),
  });
  const app = express();
  app.use('/api/v1/auth/oauth', oauth);
  app.use(oauth.wellKnown);

  app.get('/api/v1/users/me', oauth.requireToken(), (req, res) => {
    const user = users.get(req.oauth.subject);
    res.json({ id: user?.id, display_name: user?.name, primary_email: user?.email });
  });
  return app;
}

/** The claims that the vendor's SDK requires in an access token. */
function sdkClaims(user: User | undefined): Record<string, unknown> {
  return {
    project_id: SDK_PROJECT_ID,
    branch_id: 'main',
    refresh_token_id: user?.id,
    role: 'authenticated',
    name: user?.name ?? null,
    email: user?.email ?? null,
    email_verified: user?.emailVerified ?? false,
    selected_team_id: null,
    signed_up_at: 0,
    is_anonymous: false,
    is_restricted: false,
    restricted_reason: null,
    requires_totp_mfa: false,
  };
}

if (require.main === module) {
  const { GOOGLE_CLIENT_ID: clientId, GOOGLE_CLIENT_SECRET: clientSecret } = process.env;
  if (!clientId || !clientSecret) {
    console.error('Set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET, with this redirect URI at Google:');
    console.error('http://localhost:3000/api/v1/auth/oauth/callback/google');
    process.exit(1);
  }
  const google = oidcProvider({ ...providerPresets.google, clientId, clientSecret });
  listenOnLoopback(
    (origin) => createApp(origin, google),
    (origin) => `Discovery: ${origin}/api/v1/auth/oauth/.well-known/openid-configuration`,
  );
}
