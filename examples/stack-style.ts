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
export const PUBLISHABLE_KEY = 'pck_of_this_example';

export function createApp(origin: string, google: Provider): Express {
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
    ],
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
