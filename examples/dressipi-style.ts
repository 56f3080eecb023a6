/**
 * Works like the recommendations of a shop: an app without a browser gets a code and its own profile, and all APIs share the
 * JWT's secret.
 */
import { randomUUID, timingSafeEqual } from 'node:crypto';

import express, { type Express } from 'express';
import { createOAuthRouter, OAuthError, type OAuthRouter } from 'express-oauth-router';
import { listenOnLoopback } from './listen';

export const API_KEY = 'the api key of this example';
export const SHARED_SECRET = 'a secret that all resource servers of this example share';

export function createApp(origin: string): Express {
  const profiles = new Map<string, { outfits: string[] }>();

  const oauth: OAuthRouter = createOAuthRouter({
    issuer: `${origin}/oauth`,
    clients: [
      {
        clientId: 'shop-app',
        redirectUris: ['urn:ietf:wg:oauth:2.0:oob:auto'],
        outOfBand: 'json',
        scope: 'outfits:read',
      },
    ],
    // Every resource server has the secret, so each of them can also make tokens.
    signingKeys: [{ alg: 'HS256', key: SHARED_SECRET }],
    lifetimes: { accessToken: 86_400 },
    requestGuard: (req) => isEqual(req.get('x-api-key') ?? '', API_KEY),
    outOfBand: {
      // Creates a profile when a code is redeemed; another attempt with the same code finds it.
      anonymousSubject: (_req, { grantId }) => {
        const id = `profile-${grantId}`;
        profiles.set(id, profiles.get(id) ?? { outfits: [] });
        return { id };
      },
      // Returns the profile that the app already has.
      headerSubject: async (req) => {
        const token = req.get('x-dressipi-jwt');
        if (token === undefined) return undefined;
        // The code that follows is worth a new year of refresh tokens: a token that was revoked must not get it.
        const { userId } = await oauth.verifyToken(token, { checkRevocation: true });
        if (userId === undefined || !profiles.has(userId))
          throw new OAuthError('invalid_token', 'x-dressipi-jwt is not valid');
        return { id: userId };
      },
    },

    // No user signs in here.
    authenticate: () => undefined,
    loginUrl: (_req, res) => res.status(401).json({ error: 'there is no login' }),
  });
  const app = express();
  app.use('/oauth', oauth);
  app.use(oauth.wellKnown);

  app.get('/outfits', oauth.requireToken({ scope: 'outfits:read' }), (req, res) => {
    res.json(profiles.get(req.oauth.subject) ?? { outfits: [] });
  });
  app.post('/outfits', oauth.requireToken({ scope: 'outfits:read' }), (req, res) => {
    const profile = profiles.get(req.oauth.subject);
    profile?.outfits.push(randomUUID());
    res.status(201).json(profile);
  });
  return app;
}

/** Compares two texts in constant time. */
function isEqual(given: string, expected: string): boolean {
  const [some, others] = [Buffer.from(given), Buffer.from(expected)];
  return some.length === others.length && timingSafeEqual(some, others);
}

if (require.main === module) {
  listenOnLoopback(
    createApp,
    (origin) => `GET ${origin}/oauth/authorize with the header x-api-key: ${API_KEY}`,
  );
}
