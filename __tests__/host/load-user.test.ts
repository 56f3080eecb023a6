import request from 'supertest';

import { OAuthError, oidcProvider, type LoadUserContext } from 'express-oauth-router';

import { getTokens, post, refresh, STORES } from '../support/host';
import { openidHost } from '../support/openid';

describe.each(STORES)('loadUser on $store', (variant) => {
  it('learns what the user is loaded for', async () => {
    const seen: LoadUserContext[] = [];
    const host = openidHost(variant, {
      loadUser: (userId, context) => {
        seen.push(context);
        return { id: userId };
      },
      federation: {
        providers: { acme: oidcProvider({ issuer: 'http://localhost:1', clientId: 'x', clientSecret: 'y' }) },
        resolveUser: () => undefined,
      },
    });
    const tokens = await getTokens(host, 'web', { scope: 'openid profile' });
    await refresh(host, 'web', tokens.refresh_token);
    const bearer = { Authorization: `Bearer ${tokens.access_token}` };
    await request(host.app).get(`${host.base}/userinfo`).set(bearer);
    await post(host, '/link_tickets', undefined, {}).set(bearer);

    const client = expect.objectContaining({ clientId: 'web' }) as object;
    const common = { client, scope: ['openid', 'profile'], resources: [host.issuer] };
    expect(seen).toEqual([
      { ...common, purpose: 'token', grantType: 'authorization_code' },
      { ...common, purpose: 'token', grantType: 'refresh_token' },
      { ...common, purpose: 'userinfo' },
      { ...common, purpose: 'link' },
    ]);
  });

  it('may refuse with invalid_grant, which outside the token endpoint is an invalid token', async () => {
    let isSuspended = false;
    const host = openidHost(variant, {
      loadUser: (userId) => {
        if (isSuspended) throw new OAuthError('invalid_grant', 'The account is suspended');
        return { id: userId };
      },
    });
    const tokens = await getTokens(host, 'web', { scope: 'openid profile' });
    isSuspended = true;
    const refreshed = await refresh(host, 'web', tokens.refresh_token);
    expect([refreshed.status, refreshed.body]).toEqual([
      400,
      { error: 'invalid_grant', error_description: 'The account is suspended' },
    ]);
    const described = await request(host.app)
      .get(`${host.base}/userinfo`)
      .set('Authorization', `Bearer ${tokens.access_token}`);
    expect([described.status, described.body.error]).toEqual([401, 'invalid_token']);
    expect(described.headers['www-authenticate']).toContain('error="invalid_token"');
  });
});
