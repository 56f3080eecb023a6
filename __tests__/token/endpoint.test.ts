import request from 'supertest';

import { hashClientSecret, OAuthError } from 'express-oauth-router';

import {
  CALLBACK,
  claimsOf,
  CLIENTS,
  getCode,
  getTokens,
  isActive,
  makeHost,
  ORDERS,
  pkce,
  post,
  redeem,
  refresh,
  SECRET,
  storeClient,
  VARIANTS,
  type Host,
} from '../support/host';
import { clientKey, dpopProof } from '../support/jose';

describe.each(VARIANTS)('POST /token on $store at the $mount', (variant) => {
  let host: Host;
  beforeEach(() => {
    host = makeHost(variant);
  });

  describe('authorization_code (RFC 6749 §4.1.3)', () => {
    it('gives an access token, a refresh token, the scope and the real lifetime', async () => {
      const response = await redeem(host, 'web', await getCode(host));
      expect(response.status).toBe(200);
      expect(response.headers).toMatchObject({
        'cache-control': 'no-store',
        'content-type': expect.stringMatching(/^application\/json/) as string,
        'access-control-allow-origin': '*',
      });
      expect(response.body).toEqual({
        access_token: expect.any(String) as string,
        token_type: 'Bearer',
        expires_in: 3600,
        refresh_token: expect.stringMatching(/^[\w-]{72}$/) as string,
        scope: 'profile orders:read orders:write',
      });
      const { access_token: accessToken, expires_in: expiresIn } = response.body as {
        access_token: string;
        expires_in: number;
      };
      const claims = claimsOf(accessToken);
      const iat = Math.floor(host.now / 1000);
      expect(claims).toMatchObject({
        iss: host.issuer,
        sub: 'alice',
        aud: host.issuer,
        client_id: 'web',
        iat,
        exp: iat + expiresIn,
      });
      const header = JSON.parse(Buffer.from(accessToken.split('.')[0]!, 'base64url').toString()) as object;
      expect(header).toMatchObject({ typ: 'at+jwt', alg: 'ES256' });
    });

    it('takes a JSON body too', async () => {
      const { code, verifier } = await getCode(host, 'spa');
      const body = {
        grant_type: 'authorization_code',
        client_id: 'spa',
        code,
        code_verifier: verifier,
        redirect_uri: 'https://spa.example.com/cb',
      };
      const response = await request(host.app).post(`${host.base}/token`).send(body);
      expect(response.status).toBe(200);
    });

    it('gives no refresh token to a client that is not registered for it', async () => {
      const { body } = await redeem(host, 'brief', await getCode(host, 'brief'));
      expect(body).not.toHaveProperty('refresh_token');
      // The access token hangs on the record all the same.
      const accessToken = (body as { access_token: string }).access_token;
      expect(await isActive(host, accessToken, 'brief')).toBe(true);
      host.pass(3601);
      expect(await isActive(host, accessToken, 'brief')).toBe(false);
    });

    it('refuses a code of another client, and leaves it to its own', async () => {
      const issued = await getCode(host);
      const response = await redeem(host, 'third', issued);
      expect([response.status, response.body.error]).toEqual([400, 'invalid_grant']);
      expect((await redeem(host, 'web', issued)).status).toBe(200);
    });

    it.each([
      ['a wrong verifier', { code_verifier: pkce().verifier }],
      ['no verifier', { code_verifier: undefined }],
      ['a malformed verifier', { code_verifier: 'short' }],
      ['a wrong redirect_uri', { redirect_uri: `${CALLBACK}/x` }],
      ['no redirect_uri', { redirect_uri: undefined }],
    ])('refuses %s, and ends the grant', async (_name, wrong) => {
      const issued = await getCode(host);
      const response = await redeem(host, 'web', issued, wrong);
      expect([response.status, response.body.error]).toEqual([400, 'invalid_grant']);
      expect((await redeem(host, 'web', issued)).status).toBe(400);
      expect(host.eventNames()).toContain('grant.revoked');
    });

    it('refuses a verifier for a code without a challenge (RFC 9700 §4.8.2)', async () => {
      const form = { code_challenge: undefined, code_challenge_method: undefined };
      const { code } = await getCode(host, 'old', form);
      const response = await redeem(host, 'old', { code, verifier: pkce().verifier });
      expect([response.status, response.body.error]).toEqual([400, 'invalid_grant']);
      const again = await getCode(host, 'old', form);
      expect((await redeem(host, 'old', again, { code_verifier: undefined })).status).toBe(200);
    });

    it('needs no redirect_uri if the authorization request had none', async () => {
      const issued = await getCode(host, 'web', { redirect_uri: undefined });
      expect((await redeem(host, 'web', issued, { redirect_uri: undefined })).status).toBe(200);
    });

    it('refuses an expired code', async () => {
      const issued = await getCode(host);
      host.pass(60);
      const response = await redeem(host, 'web', issued);
      expect([response.status, response.body.error]).toEqual([400, 'invalid_grant']);
    });

    it('refuses forged, changed and foreign codes without asking the store', async () => {
      const issued = await getCode(host);
      const tokens = await getTokens(host);
      const foreign = makeHost(variant, { secrets: [`another ${SECRET}`], adapter: host.adapter });
      const otherIssuer = makeHost(
        { ...variant, mount: variant.mount === 'root' ? 'prefix' : 'root' },
        { adapter: host.adapter },
      );
      const changed =
        issued.code.slice(0, 30) + (issued.code[30] === 'A' ? 'B' : 'A') + issued.code.slice(31);
      const codes = [
        'x',
        'A'.repeat(72),
        changed,
        `${issued.code}=`,
        `${issued.code}A`,
        issued.code.replace(/[-_]|.$/, '+'),
        tokens.refresh_token,
        (await getCode(foreign)).code,
        (await getCode(otherIssuer)).code,
      ];
      const getGrant = jest.fn();
      const counting = makeHost(variant, { adapter: { ...host.adapter, getGrant } });
      for (const code of codes) {
        const response = await redeem(counting, 'web', { ...issued, code });
        expect([code, response.status, response.body.error]).toEqual([code, 400, 'invalid_grant']);
      }
      expect(getGrant).not.toHaveBeenCalled();
      expect((await redeem(host, 'web', issued)).status).toBe(200);
    });

    it('a spent code ends what was issued for it: refresh token, introspection, checkRevocation', async () => {
      const issued = await getCode(host);
      const { body } = await redeem(host, 'web', issued);
      const tokens = body as { access_token: string; refresh_token: string };
      host.pass(3);
      expect(await isActive(host, tokens.access_token)).toBe(true);
      expect((await redeem(host, 'web', issued)).body.error).toBe('invalid_grant');
      expect(await isActive(host, tokens.access_token)).toBe(false);
      expect((await refresh(host, 'web', tokens.refresh_token)).body.error).toBe('invalid_grant');
      expect(host.events).toContainEqual({
        name: 'authorization_code.replayed',
        event: expect.objectContaining({ clientId: 'web', userId: 'alice', revoked: true }) as object,
      });
    });

    it('a double submit with the right verifier is refused, and ends nothing', async () => {
      const issued = await getCode(host);
      const { body } = await redeem(host, 'web', issued);
      host.pass(1.9);
      expect((await redeem(host, 'web', issued)).body.error).toBe('invalid_grant');
      expect((await refresh(host, 'web', (body as { refresh_token: string }).refresh_token)).status).toBe(
        200,
      );
    });

    it('a double submit with a wrong verifier ends the grant', async () => {
      const issued = await getCode(host);
      const { body } = await redeem(host, 'web', issued);
      await redeem(host, 'web', { ...issued, verifier: pkce().verifier });
      expect((await refresh(host, 'web', (body as { refresh_token: string }).refresh_token)).status).toBe(
        400,
      );
    });

    it('a code from an old log ends nothing', async () => {
      const issued = await getCode(host);
      const { body } = await redeem(host, 'web', issued);
      host.pass(601);
      expect((await redeem(host, 'web', issued)).status).toBe(400);
      expect((await refresh(host, 'web', (body as { refresh_token: string }).refresh_token)).status).toBe(
        200,
      );
    });

    it('of many redemptions at once one succeeds, and it can refresh', async () => {
      const issued = await getCode(host);
      const responses = await Promise.all(
        Array.from({ length: 20 }, async () => redeem(host, 'web', issued)),
      );
      const successes = responses.filter(({ status }) => status === 200);
      expect(successes).toHaveLength(1);
      expect(
        (await refresh(host, 'web', (successes[0]!.body as { refresh_token: string }).refresh_token)).status,
      ).toBe(200);
    });

    it('a hook may ask for a second factor, with a status and members of its own', async () => {
      const hooked = makeHost(variant, {
        claims: () => {
          const members = { mfa_token: 'a-token-for-the-second-factor' };
          throw new OAuthError('mfa_required', 'Multifactor authentication required', {
            status: 401,
            members,
          });
        },
      });
      const { status, body } = await redeem(hooked, 'web', await getCode(hooked));
      expect([status, body]).toEqual([
        401,
        {
          error: 'mfa_required',
          error_description: 'Multifactor authentication required',
          mfa_token: 'a-token-for-the-second-factor',
        },
      ]);
    });

    it('a wrong scope, resource or a hook that throws spends nothing', async () => {
      let fails = true;
      const claims = (): Record<string, unknown> => {
        if (fails) throw new OAuthError('access_denied', 'Suspended', { members: { code: 'SUSPENDED' } });
        return {};
      };
      const hooked = makeHost(variant, { adapter: host.adapter, claims });
      const issued = await getCode(hooked);
      expect((await redeem(hooked, 'web', issued, { scope: 'admin' })).body.error).toBe('invalid_scope');
      expect((await redeem(hooked, 'web', issued, { resource: ORDERS })).body.error).toBe('invalid_target');
      const denied = await redeem(hooked, 'web', issued);
      expect([denied.status, denied.body]).toEqual([
        400,
        { error: 'access_denied', error_description: 'Suspended', code: 'SUSPENDED' },
      ]);
      fails = false;
      expect((await redeem(hooked, 'web', issued)).status).toBe(200);
    });
  });

  describe('refresh_token (RFC 6749 §6)', () => {
    it('rotates the refresh token, and gives a fresh access token', async () => {
      const first = await getTokens(host);
      host.pass(10);
      const { status, body } = await refresh(host, 'web', first.refresh_token);
      expect(status).toBe(200);
      expect(body.refresh_token).not.toBe(first.refresh_token);
      expect(claimsOf(body.access_token as string).jti).not.toBe(claimsOf(first.access_token).jti);
      expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: first.scope });
    });

    it('a lost response is repeated: the same successor, a fresh access token', async () => {
      const { refresh_token: token } = await getTokens(host);
      const lost = await refresh(host, 'web', token);
      host.pass(29);
      const again = await refresh(host, 'web', token);
      expect(again.status).toBe(200);
      expect(again.body.refresh_token).toBe(lost.body.refresh_token);
      expect(again.body.access_token).not.toBe(lost.body.access_token);
      expect((await refresh(host, 'web', again.body.refresh_token as string)).status).toBe(200);
    });

    it('many refreshes at once all get one and the same refresh token', async () => {
      const { refresh_token: token } = await getTokens(host);
      const responses = await Promise.all(
        Array.from({ length: 20 }, async () => refresh(host, 'web', token)),
      );
      expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200));
      expect(new Set(responses.map(({ body }) => body.refresh_token as string)).size).toBe(1);
    });

    it('with leeway 0 one of many succeeds, and the grant is dead', async () => {
      const strict = makeHost(variant, { refreshTokens: { leeway: 0 } });
      const { refresh_token: token } = await getTokens(strict);
      const responses = await Promise.all(
        Array.from({ length: 20 }, async () => refresh(strict, 'web', token)),
      );
      const successes = responses.filter(({ status }) => status === 200);
      expect(successes).toHaveLength(1);
      expect((await refresh(strict, 'web', successes[0]!.body.refresh_token as string)).status).toBe(400);
      expect(strict.eventNames()).toContain('refresh_token.reused');
    });

    it('an old token after the leeway ends the grant, access tokens included', async () => {
      const first = await getTokens(host);
      const second = await refresh(host, 'web', first.refresh_token);
      host.pass(30);
      expect((await refresh(host, 'web', first.refresh_token)).body.error).toBe('invalid_grant');
      expect((await refresh(host, 'web', second.body.refresh_token as string)).body.error).toBe(
        'invalid_grant',
      );
      expect(await isActive(host, second.body.access_token as string)).toBe(false);
      expect(host.events).toContainEqual({
        name: 'refresh_token.reused',
        event: expect.objectContaining({ presentedGeneration: 1, generation: 2 }) as object,
      });
    });

    it('a token two generations old ends the grant, leeway or not', async () => {
      const first = await getTokens(host);
      const second = await refresh(host, 'web', first.refresh_token);
      const third = await refresh(host, 'web', second.body.refresh_token as string);
      expect((await refresh(host, 'web', first.refresh_token)).status).toBe(400);
      expect((await refresh(host, 'web', third.body.refresh_token as string)).status).toBe(400);
    });

    it('gives one description for every cause, and the reason to the operator', async () => {
      const first = await getTokens(host);
      const unknown = await refresh(host, 'web', 'x');
      await post(host, '/revoke', 'web', { token: first.refresh_token });
      const revoked = await refresh(host, 'web', first.refresh_token);
      expect(revoked.body).toEqual(unknown.body);
      const reasons = host.events
        .filter(({ name }) => name === 'request.refused')
        .map(({ event }) => event.reason);
      expect(reasons).toEqual(['unknown', 'unknown']);
    });

    it('narrows the scope of the access token, and not of the grant', async () => {
      const first = await getTokens(host);
      const narrow = await refresh(host, 'web', first.refresh_token, { scope: 'profile' });
      expect(narrow.body.scope).toBe('profile');
      const full = await refresh(host, 'web', narrow.body.refresh_token as string);
      expect(full.body.scope).toBe(first.scope);
    });

    it.each([
      ['a wider scope', { scope: 'profile admin' }, 'invalid_scope'],
      ['a malformed scope', { scope: 'profile "orders:read"' }, 'invalid_scope'],
      ['an unknown resource', { resource: 'https://nowhere.example' }, 'invalid_target'],
    ])('%s is refused, and the client can still refresh', async (_name, wrong, error) => {
      const first = await getTokens(host);
      const response = await refresh(host, 'web', first.refresh_token, wrong);
      expect([response.status, response.body.error]).toEqual([400, error]);
      expect((await refresh(host, 'web', first.refresh_token)).status).toBe(200);
    });

    it('the wrong client is refused, and the grant lives', async () => {
      const first = await getTokens(host);
      expect((await refresh(host, 'third', first.refresh_token)).body.error).toBe('invalid_grant');
      expect((await refresh(host, 'web', first.refresh_token)).status).toBe(200);
    });

    it('a code is no refresh token', async () => {
      const { code } = await getCode(host);
      expect((await refresh(host, 'web', code)).body.error).toBe('invalid_grant');
    });

    it.each(['claims', 'tokenResponse'])('%s that returns no object is an error', async (hook) => {
      for (const members of ['abc', [1], 5, true]) {
        const own = makeHost(variant, { [hook]: () => members });
        const { status, body } = await redeem(own, 'web', await getCode(own, 'web'));
        expect([status, body.error]).toEqual([500, 'server_error']);
      }
    });

    it('an OAuthError with a status that is none is an error of the hook', async () => {
      const own = makeHost(variant, {
        beforeIssueToken: () => {
          throw new OAuthError('mfa_required', 'A second factor is needed', { status: 200 });
        },
      });
      const { status, body } = await redeem(own, 'web', await getCode(own, 'web'));
      expect([status, body.error]).toEqual([500, 'server_error']);
    });

    it('loadUser that finds nobody refuses, and the grant lives; loadUser that throws is 503', async () => {
      let behaviour: 'there' | 'gone' | 'fails' = 'there';
      const loadUser = (id: string): { id: string } | undefined => {
        if (behaviour === 'fails') throw new Error('the user database is down');
        return behaviour === 'there' ? { id } : undefined;
      };
      const hooked = makeHost(variant, { loadUser });
      const { refresh_token: token } = await getTokens(hooked);
      behaviour = 'gone';
      const gone = await refresh(hooked, 'web', token);
      expect([gone.status, gone.body.error]).toEqual([400, 'invalid_grant']);
      behaviour = 'fails';
      const failed = await refresh(hooked, 'web', token);
      expect([failed.status, failed.body.error]).toEqual([503, 'temporarily_unavailable']);
      expect(failed.headers['retry-after']).toBeDefined();
      expect(failed.text).not.toMatch(/database|storage/);
      expect(hooked.events).toContainEqual({
        name: 'server.failed',
        event: { endpoint: 'loadUser', cause: new Error('the user database is down') },
      });
      behaviour = 'there';
      expect((await refresh(hooked, 'web', token)).status).toBe(200);
    });

    it('ends when it was not used for the idle lifetime, and at the absolute one', async () => {
      const short = makeHost(variant, { refreshTokens: { idleLifetime: 100, absoluteLifetime: 250 } });
      const idle = await getTokens(short);
      short.pass(100);
      expect((await refresh(short, 'web', idle.refresh_token)).status).toBe(400);

      let { refresh_token: token } = await getTokens(short);
      const expiries: number[] = [];
      for (const _ of [1, 2, 3]) {
        short.pass(80);
        const { body } = await refresh(short, 'web', token);
        token = body.refresh_token as string;
        expiries.push(body.expires_in as number);
      }
      // Never beyond the grant's own end.
      expect(expiries[2]).toBeLessThanOrEqual(10);
      short.pass(11);
      expect((await refresh(short, 'web', token)).status).toBe(400);
    });

    it('a generation ahead of the store is accepted, with an event', async () => {
      const first = await getTokens(host);
      const grantId = Buffer.from(first.refresh_token, 'base64url').toString('base64url', 0, 16);
      const before = (await host.adapter.getGrant(grantId))!;
      const second = await refresh(host, 'web', first.refresh_token);
      const third = await refresh(host, 'web', second.body.refresh_token as string);
      // A replica was promoted that had not seen the last writes.
      await host.adapter.revokeGrant(grantId);
      await host.adapter.saveGrant(before);
      const ahead = await refresh(host, 'web', third.body.refresh_token as string);
      expect(ahead.status).toBe(200);
      expect(host.events).toContainEqual({
        name: 'grant.ahead_of_store',
        event: expect.objectContaining({ presentedGeneration: 3, generation: 1 }) as object,
      });
      expect((await refresh(host, 'web', ahead.body.refresh_token as string)).status).toBe(200);
    });

    it('when the store lost the redemption itself, it is refused and nothing is revoked', async () => {
      const issued = await getCode(host);
      const grantId = Buffer.from(issued.code, 'base64url').toString('base64url', 0, 16);
      const unspent = (await host.adapter.getGrant(grantId))!;
      const { body } = await redeem(host, 'web', issued);
      await host.adapter.revokeGrant(grantId);
      await host.adapter.saveGrant(unspent);
      expect((await refresh(host, 'web', body.refresh_token as string)).status).toBe(400);
      expect(await host.adapter.getGrant(grantId)).toMatchObject({ generation: 0 });
    });

    it('grantsNotBefore ends all of a client’s grants', async () => {
      const clientSecret = await storeClient(host, {
        clientId: 'stored',
        redirectUris: [CALLBACK],
        scope: 'profile',
        firstParty: true,
      });
      const issued = await getCode(host, 'stored' as never, { redirect_uri: CALLBACK });
      const send = (form: Record<string, string>): request.Test =>
        request(host.app).post(`${host.base}/token`).type('form').auth('stored', clientSecret).send(form);
      const { body } = await send({
        grant_type: 'authorization_code',
        code: issued.code,
        code_verifier: issued.verifier,
        redirect_uri: CALLBACK,
      });
      host.pass(10);
      const stored = (await host.adapter.getClient('stored'))!;
      await host.adapter.saveClient!({ ...stored, grantsNotBefore: Math.floor(host.now / 1000) });
      const response = await send({
        grant_type: 'refresh_token',
        refresh_token: body.refresh_token as string,
      });
      expect([response.status, response.body.error]).toEqual([400, 'invalid_grant']);
    });

    it('what the client may not have any more is not given', async () => {
      const first = await getTokens(host);
      const reduced = makeHost(variant, {
        adapter: host.adapter,
        clients: [{ ...CLIENTS.web, scope: 'profile' }],
      });
      reduced.now = host.now;
      expect((await refresh(reduced, 'web', first.refresh_token)).body.scope).toBe('profile');
    });

    describe("with refreshTokenRotation: 'never'", () => {
      it('keeps the refresh token, any number of times and at once', async () => {
        const { refresh_token: token } = await getTokens(host, 'steady');
        const responses = await Promise.all(
          Array.from({ length: 10 }, async () => refresh(host, 'steady', token)),
        );
        expect(responses.map(({ status, body }) => [status, body.refresh_token as string])).toEqual(
          responses.map(() => [200, token]),
        );
        host.pass(40);
        expect((await refresh(host, 'steady', token)).body.refresh_token).toBe(token);
      });

      it('is renewed by use, and ends without', async () => {
        const short = makeHost(variant, { refreshTokens: { idleLifetime: 100 } });
        const { refresh_token: token } = await getTokens(short, 'steady');
        for (const _ of [1, 2, 3]) {
          short.pass(80);
          expect((await refresh(short, 'steady', token)).body.expires_in).toBe(100);
        }
        short.pass(100);
        expect((await refresh(short, 'steady', token)).status).toBe(400);
      });

      it('writes only when a tenth of the idle lifetime has passed', async () => {
        const advanceGrant = jest.fn(host.adapter.advanceGrant);
        const counting = makeHost(variant, {
          adapter: { ...host.adapter, advanceGrant },
          refreshTokens: { idleLifetime: 10_000 },
        });
        const { refresh_token: token } = await getTokens(counting, 'steady');
        advanceGrant.mockClear();
        counting.pass(999);
        await refresh(counting, 'steady', token);
        expect(advanceGrant).toHaveBeenCalledTimes(0);
        counting.pass(1);
        await refresh(counting, 'steady', token);
        expect(advanceGrant).toHaveBeenCalledTimes(1);
      });

      it('succeeds although the touch fails, under the lifetime that is stored', async () => {
        const advanceGrant = (): Promise<boolean> => Promise.reject(new Error('down'));
        const short = makeHost(variant, { adapter: host.adapter, refreshTokens: { idleLifetime: 100 } });
        const { refresh_token: token } = await getTokens(short, 'steady');
        const failing = makeHost(variant, {
          adapter: { ...host.adapter, advanceGrant },
          refreshTokens: { idleLifetime: 100 },
        });
        failing.now = short.now;
        failing.pass(80);
        const { status, body } = await refresh(failing, 'steady', token);
        expect([status, body.expires_in]).toEqual([200, 20]);
      });

      it('a revoked grant stays revoked', async () => {
        const { refresh_token: token } = await getTokens(host, 'steady');
        await post(host, '/revoke', 'steady', { token });
        expect((await refresh(host, 'steady', token)).status).toBe(400);
      });

      it('a reused token ends its grant even while the policy fails', async () => {
        let isBroken = false;
        const own = makeHost(variant, {
          refreshTokens: {
            rotation: () => {
              if (isBroken) throw new Error('policy');
              return 'always';
            },
          },
        });
        const { refresh_token: stolen } = await getTokens(own);
        const { body } = await refresh(own, 'web', stolen);
        own.pass(60);
        isBroken = true;
        expect((await refresh(own, 'web', stolen)).body.error).toBe('invalid_grant');
        expect(own.eventNames()).toContain('refresh_token.reused');
        isBroken = false;
        expect((await refresh(own, 'web', body.refresh_token as string)).status).toBe(400);
      });

      it('a public client is rotated whatever the router says', async () => {
        const kept = makeHost(variant, { refreshTokens: { rotation: 'never' } });
        const { refresh_token: token } = await getTokens(kept, 'spa');
        expect((await refresh(kept, 'spa', token)).body.refresh_token).not.toBe(token);
        const confidential = await getTokens(kept, 'web');
        expect((await refresh(kept, 'web', confidential.refresh_token)).body.refresh_token).toBe(
          confidential.refresh_token,
        );
      });
    });
  });

  describe('client_credentials (RFC 6749 §4.4)', () => {
    it('gives a token without user and without refresh token', async () => {
      const { status, body } = await post(host, '/token', 'machine', {
        grant_type: 'client_credentials',
        scope: 'jobs:read',
      });
      expect(status).toBe(200);
      expect(body).toEqual({
        access_token: expect.any(String) as string,
        token_type: 'Bearer',
        expires_in: 3600,
        scope: 'jobs:read',
      });
      expect(claimsOf(body.access_token as string)).toMatchObject({
        sub: 'machine',
        client_id: 'machine',
        aud: host.issuer,
      });
    });

    it('gives all of the client’s scope unless one is asked for, and none beyond it', async () => {
      const grant = { grant_type: 'client_credentials' };
      expect((await post(host, '/token', 'machine', grant)).body.scope).toBe('jobs:run jobs:read');
      expect((await post(host, '/token', 'machine', { ...grant, scope: 'profile' })).body.error).toBe(
        'invalid_scope',
      );
      expect((await post(host, '/token', 'api', grant)).body.scope).toBe('');
    });

    it('is for the audience that was asked for, from the list', async () => {
      const grant = { grant_type: 'client_credentials' };
      const { body } = await post(host, '/token', 'machine', { ...grant, resource: ORDERS });
      expect(claimsOf(body.access_token as string).aud).toBe(ORDERS);
      expect(
        (await post(host, '/token', 'machine', { ...grant, resource: 'https://evil.example' })).body.error,
      ).toBe('invalid_target');
    });
  });

  describe('a grant type of the host (RFC 6749 §4.5)', () => {
    const TYPE = 'urn:example:device-key';
    const keyed = { ...CLIENTS.web, clientId: 'keyed', grantTypes: [TYPE, 'refresh_token'] };

    it('gives tokens for the user that the host decides on, and refreshes', async () => {
      const seen: unknown[] = [];
      const own = makeHost(variant, {
        clients: [keyed],
        grants: {
          [TYPE]: ({ parameters, client }) => {
            seen.push(parameters);
            return parameters.key === 'good'
              ? { user: { id: 7 }, scope: 'profile' }
              : client.clientId === 'x'
                ? {}
                : undefined;
          },
        },
      });
      const send = (form: Record<string, string>): request.Test =>
        request(own.app)
          .post(`${own.base}/token`)
          .type('form')
          .auth('keyed', 'web-secret')
          .send({ grant_type: TYPE, ...form });
      const { status, body } = await send({ key: 'good' });
      expect(status).toBe(200);
      expect(claimsOf(body.access_token as string)).toMatchObject({ sub: '7', scope: 'profile' });
      const refreshed = await send({
        grant_type: 'refresh_token',
        refresh_token: body.refresh_token as string,
      });
      expect([refreshed.status, refreshed.body.scope]).toEqual([200, 'profile']);
      expect((await send({ key: 'bad' })).body.error).toBe('invalid_grant');
      expect(seen[0]).toEqual({ grant_type: TYPE, key: 'good' });
    });

    it('gives ID tokens and bound tokens as the other grants do', async () => {
      const own = makeHost(variant, {
        clients: [{ ...keyed, scope: 'openid profile' }],
        grants: { [TYPE]: () => ({ user: { id: 'alice', authTime: 1_700_000_000, acr: 'urn:mfa' } }) },
      });
      const key = await clientKey();
      const url = `${own.issuer}/token`;
      const send = async (form: Record<string, string>): Promise<Record<string, string>> => {
        const { body } = await request(own.app)
          .post(`${own.base}/token`)
          .type('form')
          .auth('keyed', 'web-secret')
          .set('DPoP', await dpopProof(key, { url, now: own.now }))
          .send(form);
        return body as Record<string, string>;
      };
      const first = await send({ grant_type: TYPE });
      expect(first.token_type).toBe('DPoP');
      const signIn = { sub: 'alice', auth_time: 1_700_000_000, acr: 'urn:mfa' };
      expect(claimsOf(first.id_token!)).toMatchObject({ ...signIn, aud: 'keyed' });
      expect(claimsOf(first.access_token!)).toMatchObject({ ...signIn, cnf: { jkt: key.thumbprint } });
      const renewed = await send({ grant_type: 'refresh_token', refresh_token: first.refresh_token! });
      expect(claimsOf(renewed.id_token!)).toMatchObject(signIn);
    });
  });

  describe('a grant type of the host that finds nobody', () => {
    const TYPE = 'urn:x:login';
    const withDecision = (client: object, decision: unknown): Host =>
      makeHost(variant, {
        clients: [
          {
            clientId: 'c',
            scope: 'profile',
            redirectUris: [CALLBACK],
            grantTypes: [TYPE, 'refresh_token'],
            ...client,
          },
        ],
        grants: { [TYPE]: () => decision as never },
      });

    it.each([
      undefined,
      null,
      true,
      'no',
      { user: undefined },
      { user: null },
      { user: 'alice' },
      { user: 0 },
    ])('%j refuses', async (decision) => {
      for (const client of [{}, { clientSecret: 'secret' }]) {
        const own = withDecision(client, decision);
        const send = request(own.app).post(`${own.base}/token`).type('form');
        const response = await ('clientSecret' in client ? send.auth('c', 'secret') : send).send({
          grant_type: TYPE,
          client_id: 'c',
        });
        expect([response.status, response.body.error]).toEqual([400, 'invalid_grant']);
      }
    });

    it('a public client never acts for itself', async () => {
      const own = withDecision({}, { scope: 'profile' });
      const response = await request(own.app)
        .post(`${own.base}/token`)
        .type('form')
        .send({ grant_type: TYPE, client_id: 'c' });
      expect([response.status, response.body.error]).toEqual([400, 'unauthorized_client']);
    });

    it('a user without a usable id is server_error', async () => {
      for (const id of ['', null, NaN, {}]) {
        const own = withDecision({ clientSecret: 'secret' }, { user: { id } });
        const response = await request(own.app)
          .post(`${own.base}/token`)
          .type('form')
          .auth('c', 'secret')
          .send({ grant_type: TYPE });
        expect(response.body.error).toBe('server_error');
      }
    });
  });

  it('a lost answer to an insert is found out, not guessed', async () => {
    const saveGrant = async (grant: never): Promise<void> => {
      await host.adapter.saveGrant(grant);
      throw new Error('the answer was lost');
    };
    const own = makeHost(variant, { adapter: { ...host.adapter, saveGrant } });
    expect((await redeem(own, 'web', await getCode(own))).status).toBe(200);
  });

  it('what a hook does to what it is given does not reach the next request', async () => {
    const own = makeHost(variant, {
      claims: ({ client, scope }) => {
        for (const list of [client.scope, scope, client.grantTypes]) {
          try {
            (list as string[]).push('admin');
          } catch {
            // Frozen.
          }
        }
        return null;
      },
    });
    await getTokens(own);
    expect((await getTokens(own)).scope).toBe('profile orders:read orders:write');
    expect(
      (await post(own, '/token', 'machine', { grant_type: 'client_credentials', scope: 'admin' })).body.error,
    ).toBe('invalid_scope');
    expect((await post(own, '/token', 'machine', { grant_type: 'client_credentials' })).body.scope).toBe(
      'jobs:run jobs:read',
    );
  });

  it('a code that expires while a hook takes its time is not redeemed', async () => {
    const own: Host = makeHost(variant, {
      claims: () => {
        own.pass(61);
        return {};
      },
    });
    expect((await redeem(own, 'web', await getCode(own))).body.error).toBe('invalid_grant');
  });

  it('a resource that is not offered any more is not granted any more', async () => {
    const tokens = (await redeem(host, 'web', await getCode(host, 'web', { resource: ORDERS }))).body as {
      refresh_token: string;
    };
    const without = makeHost(variant, { adapter: host.adapter, resources: [] });
    expect((await refresh(without, 'web', tokens.refresh_token)).body.error).toBe('invalid_target');
  });

  it('the alarm is raised, and revoking is tried again, when the store fails at a reuse', async () => {
    let failures = 1;
    const revokeGrant = (id: string): unknown =>
      failures-- > 0 ? Promise.reject(new Error('down')) : host.adapter.revokeGrant(id);
    const own = makeHost(variant, {
      adapter: { ...host.adapter, revokeGrant: revokeGrant as never },
      refreshTokens: { leeway: 0 },
    });
    const first = await getTokens(own);
    const second = await refresh(own, 'web', first.refresh_token);
    expect((await refresh(own, 'web', first.refresh_token)).status).toBe(400);
    expect(own.eventNames()).toEqual(expect.arrayContaining(['refresh_token.reused', 'grant.revoked']));
    expect((await refresh(own, 'web', second.body.refresh_token as string)).status).toBe(400);
  });

  it('with leeway 0 a clock that is behind opens no window', async () => {
    const strict = makeHost(variant, { refreshTokens: { leeway: 0 } });
    const first = await getTokens(strict);
    await refresh(strict, 'web', first.refresh_token);
    strict.pass(-5);
    expect((await refresh(strict, 'web', first.refresh_token)).status).toBe(400);
    expect(strict.eventNames()).toContain('refresh_token.reused');
  });

  describe('what is refused (RFC 6749 §5.2)', () => {
    it.each([
      ['no grant_type', 'web', {}, 400, 'invalid_request'],
      ['an empty grant_type', 'web', { grant_type: '' }, 400, 'invalid_request'],
      ['an unknown grant_type', 'web', { grant_type: 'magic' }, 400, 'unsupported_grant_type'],
      [
        'the password grant',
        'web',
        { grant_type: 'password', username: 'a', password: 'b' },
        400,
        'unsupported_grant_type',
      ],
      ['the name of an object’s function', 'web', { grant_type: 'toString' }, 400, 'unsupported_grant_type'],
      [
        'a grant type that the client is not registered for',
        'web',
        { grant_type: 'client_credentials' },
        400,
        'unauthorized_client',
      ],
      ['no code', 'web', { grant_type: 'authorization_code' }, 400, 'invalid_request'],
      ['no refresh_token', 'web', { grant_type: 'refresh_token' }, 400, 'invalid_request'],
    ] as const)('%s', async (_name, client, form, status, error) => {
      const response = await post(host, '/token', client, form);
      expect([response.status, response.body.error]).toEqual([status, error]);
      expect(response.headers['cache-control']).toBe('no-store');
      expect(Object.keys(response.body as object).sort()).toEqual(['error', 'error_description']);
      expect(response.body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
    });
  });

  describe('client authentication (RFC 6749 §2.3)', () => {
    const grant = 'grant_type=client_credentials';
    const send = (body: string, authorization?: string): request.Test => {
      const test = request(host.app).post(`${host.base}/token`).type('form');
      return (authorization ? test.set('Authorization', authorization) : test).send(body);
    };
    const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

    it.each([
      ['evil\n2026-11-26 INFO admin signed in', undefined],
      ['x'.repeat(300), undefined],
      ['nobody', 'nobody'],
    ])('the event for an unknown client names only what can be a client id: %j', async (id, named) => {
      await send(grant, basic(`${id}:x`));
      const failed = host.events.find(({ name }) => name === 'client_authentication.failed');
      expect(failed!.event).toMatchObject({ reason: 'unknown client' });
      expect(failed!.event.clientId).toBe(named);
    });

    it.each([
      ['a wrong secret by Basic', grant, basic('machine:wrong'), true],
      ['an unknown client by Basic', grant, basic('nobody:x'), true],
      ['no secret by Basic', grant, basic('machine:'), true],
      ['Basic without a colon', grant, basic('machine'), true],
      ['Basic that is not base64', grant, 'Basic ???', true],
      ['Basic with nothing', grant, 'Basic', true],
      ['a wrong secret in the body', `${grant}&client_id=post&client_secret=wrong`, undefined, false],
      [
        'a secret in the body of a client that has chosen Basic',
        `${grant}&client_id=exact&client_secret=exact-secret`,
        undefined,
        false,
      ],
      ['Basic of a client that is registered for the body', grant, basic('post:post-secret'), true],
      [
        'a confidential client without its secret',
        'grant_type=authorization_code&client_id=web&code=x&code_verifier=x',
        undefined,
        false,
      ],
      ['no client at all', grant, undefined, false],
      ['a public client by Basic, with a secret', grant, basic('spa:x'), true],
      ['a confidential client by Basic, without its secret', grant, basic('machine:'), true],
    ])('refuses %s', async (_name, body, authorization, challenged) => {
      const response = await send(body, authorization);
      expect([response.status, response.body.error]).toEqual([401, 'invalid_client']);
      expect(response.headers['www-authenticate']).toEqual(
        challenged ? expect.stringMatching(/^Basic realm=/) : undefined,
      );
      expect(host.eventNames()).toContain('client_authentication.failed');
    });

    it.each([
      [
        'Basic and a secret in the body',
        `${grant}&client_id=machine&client_secret=machine-secret`,
        basic('machine:machine-secret'),
      ],
      ['a client_id that differs from Basic’s', `${grant}&client_id=web`, basic('machine:machine-secret')],
    ])('%s is invalid_request', async (_name, body, authorization) => {
      const response = await send(body, authorization);
      expect([response.status, response.body.error]).toEqual([400, 'invalid_request']);
    });

    it('takes the same client_id in the body as in Basic', async () => {
      expect((await send(`${grant}&client_id=machine`, basic('machine:machine-secret'))).status).toBe(200);
    });

    it('takes client_secret_post where it is registered', async () => {
      expect((await redeem(host, 'post', await getCode(host, 'post'))).status).toBe(200);
    });

    it('decodes Basic as a form, and else takes it raw', async () => {
      const awkward = { clientId: 'a:b c', clientSecret: 'p:%41+&ü€=x', grantTypes: ['client_credentials'] };
      const own = makeHost(variant, { clients: [awkward] });
      const encode = (text: string): string => encodeURIComponent(text).replaceAll('%20', '+');
      const token = (authorization: string): request.Test =>
        request(own.app)
          .post(`${own.base}/token`)
          .type('form')
          .set('Authorization', authorization)
          .send(grant);
      expect((await token(basic(`${encode(awkward.clientId)}:${encode(awkward.clientSecret)}`))).status).toBe(
        200,
      );

      const raw = { clientId: 'raw', clientSecret: '100%:x+y', grantTypes: ['client_credentials'] };
      const other = makeHost(variant, { clients: [raw] });
      const response = await request(other.app)
        .post(`${other.base}/token`)
        .type('form')
        .auth(raw.clientId, raw.clientSecret)
        .send(grant);
      expect(response.status).toBe(200);
    });

    it('knows clients of the store, with generated secrets and with chosen ones', async () => {
      const clientSecret = await storeClient(host, {
        clientId: 'generated',
        grantTypes: ['client_credentials'],
      });
      expect((await send(grant, basic(`generated:${clientSecret}`))).status).toBe(200);
      expect((await send(grant, basic(`generated:${clientSecret}x`))).status).toBe(401);

      const clientSecretHash = await hashClientSecret('correct horse');
      await host.adapter.saveClient!({
        clientId: 'chosen',
        clientSecretHash,
        grantTypes: ['client_credentials'],
      });
      expect((await send(grant, basic('chosen:correct horse'))).status).toBe(200);
      expect((await send(grant, basic('chosen:correct horse'))).status).toBe(200);
      expect((await send(grant, basic('chosen:wrong horse'))).status).toBe(401);
    });

    it('a secret that was stored in the clear is an error, not a public client', async () => {
      const careless = { clientId: 'careless', clientSecret: 'x', redirectUris: [CALLBACK] };
      const own = makeHost(variant, {
        adapter: { ...host.adapter, getClient: () => Promise.resolve(careless as never) },
      });
      const response = await post(own, '/token', undefined, {
        grant_type: 'refresh_token',
        refresh_token: 'x',
        client_id: 'careless',
      });
      expect([response.status, response.body.error]).toEqual([500, 'server_error']);
    });

    it('a secret that got lost in the store is an error, not a public client', async () => {
      const lost = { clientId: 'lost', clientSecretHash: null, redirectUris: [CALLBACK] };
      const find = (row: object): Host =>
        makeHost(variant, { adapter: { ...host.adapter, getClient: () => row as never } });
      const form = { grant_type: 'refresh_token', refresh_token: 'x', client_id: 'lost' };
      expect((await post(find(lost), '/token', undefined, form)).status).toBe(500);
      const open = { ...lost, tokenEndpointAuthMethod: 'none', clientName: null };
      expect((await post(find(open), '/token', undefined, form)).body.error).toBe('invalid_grant');
    });

    it('guessing at one client’s secret does not keep another waiting', async () => {
      const clientSecretHash = await hashClientSecret('correct horse');
      const grantTypes = ['client_credentials'];
      await host.adapter.saveClient!({ clientId: 'attacked', clientSecretHash, grantTypes });
      await host.adapter.saveClient!({
        clientId: 'other',
        clientSecretHash: await hashClientSecret('battery'),
        grantTypes,
      });
      const guesses = Array.from({ length: 30 }, async (_, guess) => send(grant, basic(`attacked:${guess}`)));
      await Promise.race(guesses);
      expect((await send(grant, basic('other:battery'))).status).toBe(200);
      const statuses = (await Promise.all(guesses)).map(({ status }) => status);
      expect(new Set(statuses)).toEqual(new Set([401]));
    }, 60_000);

    it('a hash that costs too much is an error of the store', async () => {
      const [scheme, N, r, , salt, hash] = (await hashClientSecret('x')).split(':');
      await host.adapter.saveClient!({
        clientId: 'costly',
        clientSecretHash: [scheme, N, r, '99', salt, hash].join(':'),
      });
      expect((await send(grant, basic('costly:x'))).status).toBe(500);
    });

    it('a client that differs in case or in type is none', async () => {
      const own = makeHost(variant, {
        adapter: {
          ...host.adapter,
          getClient: () => Promise.resolve({ clientId: 'Careless', redirectUris: [CALLBACK] }),
        },
      });
      const response = await post(own, '/token', undefined, {
        grant_type: 'refresh_token',
        refresh_token: 'x',
        client_id: 'careless',
      });
      expect(response.status).toBe(401);
    });
  });
});
