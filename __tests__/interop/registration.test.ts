import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import express from 'express';

import { browser } from '../support/browser';
import { CALLBACK, listen, makeHost, MOUNTS, STORES, type Host } from '../support/host';
import { clientKey } from '../support/jose';

/** Clients that others wrote register themselves, and get tokens. */
describe.each(STORES)('dynamic registration on $store', ({ store }) => {
  describe.each(MOUNTS)('at the $mount', ({ mount }) => {
    let host: Host;
    let issuer: URL;
    let origin: string;
    let close: () => Promise<void>;

    beforeAll(async () => {
      const shell = express();
      ({ origin, close } = await listen(shell));
      const path = mount === 'root' ? '' : '/api/oauth';
      issuer = new URL(origin + path);
      host = makeHost(
        { store, mount: 'root' },
        { issuer: origin + path, registration: { open: true }, scopes: { 'orders:read': 'See your orders' } },
      );
      if (path) shell.use(path, host.oauth);
      shell.use(host.app);
    });
    afterAll(() => close());

    async function allow(url: URL): Promise<URL> {
      const { visit } = browser(origin, [CALLBACK]);
      const page = await visit(url.href);
      const [, action] = /action="([^"]+)"/.exec(page.text)!;
      const [, sealed] = /name="request" value="([^"]+)"/.exec(page.text)!;
      return new URL((await visit(action!, { request: sealed!, decision: 'allow' })).url);
    }

    it.each(['no choice', 'none', 'client_secret_basic', 'client_secret_post'])(
      'openid-client, with %s',
      async (method) => {
        const config = await openid.dynamicClientRegistration(
          issuer,
          {
            redirect_uris: [CALLBACK],
            ...(method !== 'no choice' && { token_endpoint_auth_method: method }),
            client_name: 'openid-client',
            scope: 'openid orders:read',
          },
          // Without a choice of its own it sends a secret in the body.
          method === 'client_secret_basic' ? openid.ClientSecretBasic() : undefined,
          { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] },
        );
        const verifier = openid.randomPKCECodeVerifier();
        const url = openid.buildAuthorizationUrl(config, {
          redirect_uri: CALLBACK,
          scope: 'openid orders:read',
          code_challenge: await openid.calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
        });
        const tokens = await openid.authorizationCodeGrant(config, await allow(url), {
          pkceCodeVerifier: verifier,
        });
        expect(tokens.scope).toBe('openid orders:read');
        expect(tokens.claims()?.sub).toBe('alice');
      },
    );

    it('oauth4webapi, with private_key_jwt and keys in its metadata', async () => {
      const insecure = { [oauth.allowInsecureRequests]: true };
      const as = await oauth
        .discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
        .then((response) => oauth.processDiscoveryResponse(issuer, response));
      const key = await clientKey();
      const response = await oauth.dynamicClientRegistrationRequest(
        as,
        {
          redirect_uris: [CALLBACK],
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [key.publicJwk] },
          scope: 'orders:read',
        },
        insecure,
      );
      const client = await oauth.processDynamicClientRegistrationResponse(response);
      const verifier = oauth.generateRandomCodeVerifier();
      const url = new URL(as.authorization_endpoint!);
      url.search = new URLSearchParams({
        client_id: client.client_id,
        redirect_uri: CALLBACK,
        response_type: 'code',
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      }).toString();
      const parameters = oauth.validateAuthResponse(as, client, await allow(url), oauth.skipStateCheck);
      const answered = await oauth.authorizationCodeGrantRequest(
        as,
        client,
        oauth.PrivateKeyJwt({ key: key.privateKey, kid: key.kid }),
        parameters,
        CALLBACK,
        verifier,
        insecure,
      );
      const tokens = await oauth.processAuthorizationCodeResponse(as, client, answered);
      expect(tokens.scope).toBe('orders:read');
    });
  });
});
