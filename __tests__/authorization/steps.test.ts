import type { Request } from 'express';

import { resolveOptions } from '../../lib/options/resolve';
import { parametersOf } from '../../lib/http/parameters';
import { createServer, type Server } from '../../lib/server';
import type { Outcome } from '../../lib/authorization/outcome';
import { authorizationForm, CLIENTS, pkce, SECRET } from '../support/host';

/** The steps are functions from data to data: none of them sees a response. */
describe('the steps of an authorization request', () => {
  let user: { id: string; authTime?: number } | undefined;
  let server: Server;

  beforeEach(() => {
    user = { id: 'alice' };
    server = createServer(
      resolveOptions({
        issuer: 'http://localhost:3000',
        secrets: [SECRET],
        clients: Object.values(CLIENTS),
        authenticate: () => user,
        loginUrl: '/login',
      }),
    );
  });

  async function outcomeOf(client: 'web' | 'third', more: Record<string, string> = {}): Promise<Outcome> {
    const { findTarget, validate, interact } = server;
    const parameters = parametersOf(Object.entries(authorizationForm(client, pkce(), more)));
    const progress = { startedAt: Date.now(), detours: 0 };
    const target = await findTarget({} as Request, parameters);
    const request = validate(target, parameters, {});
    return interact({ method: 'GET' } as Request, request, { parameters, progress }, undefined);
  }

  it('lead to a code', async () => {
    expect(await outcomeOf('web')).toMatchObject({ kind: 'code', code: expect.any(String) as string });
  });

  it('lead to the login, with the URL that continues', async () => {
    user = undefined;
    const outcome = await outcomeOf('web', { login_hint: 'alice' });
    expect(outcome).toMatchObject({ kind: 'login', request: { loginHint: 'alice' } });
    expect(outcome.kind === 'login' && server.resuming.isResumeUrl(outcome.resumeUrl)).toBe(true);
  });

  it('lead to the consent page, with everything that it shows', async () => {
    const outcome = await outcomeOf('third');
    expect(outcome).toMatchObject({ kind: 'consent', context: { clientName: 'Third & <b>Sons</b>' } });
  });

  it.each([
    ['an unknown scope', { scope: 'nonsense' }, 'invalid_scope'],
    ['nobody signed in', { prompt: 'none' }, 'login_required'],
  ])('%s is an error for the client', async (_name, more, code) => {
    user = undefined;
    await expect(outcomeOf('web', more)).rejects.toMatchObject({ code });
  });
});
