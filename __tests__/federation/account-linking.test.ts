import {
  accountAlreadyLinked,
  accountLinking,
  providerPresets,
  type EmailStrategy,
} from 'express-oauth-router';

import { federatedHost, providersOf, signIn, startUpstreams, type Upstreams } from '../support/federation';
import { answerOf, VARIANTS, type Form } from '../support/host';

interface Account {
  id: string;
  email: string | undefined;
  emailVerified: boolean;
  identities: string[];
}

let upstreams: Upstreams;
beforeAll(async () => {
  upstreams = await startUpstreams();
});
afterAll(() => upstreams.stop());

describe.each<EmailStrategy>(['link_verified', 'refuse', 'allow_duplicates'])(
  'accountLinking: %s',
  (emailStrategy) => {
    const signInAs = async (
      login: string,
      accounts: Account[],
      more: { type?: 'link'; as?: string } = {},
    ): Promise<Form> => {
      const host = federatedHost(VARIANTS[0]!, providersOf(upstreams), {
        federation: {
          resolveUser: accountLinking<Account>({
            emailStrategy,
            findByIdentity: ({ subject }) => accounts.find(({ identities }) => identities.includes(subject)),
            findByEmail: (email) => {
              const user = accounts.find((account) => account.email === email);
              return user && { user, emailVerified: user.emailVerified };
            },
            createUser: ({ subject, email, emailVerified }) => {
              const user = { id: `new-${subject}`, email, emailVerified, identities: [subject] };
              accounts.push(user);
              return user;
            },
            linkIdentity: ({ id }, { subject }) =>
              accounts.find((user) => user.id === id)!.identities.push(subject),
          }),
          linkWithAccessTokens: true,
        },
      });
      const token = more.as && host.oauth.issueAccessToken({ subject: more.as, clientId: 'web' });
      const { response } = await signIn(host, { login, more: { type: more.type, token } });
      const answer = answerOf(response);
      const created = host.events.find(({ name }) => name === 'provider.signed_in')?.event;
      return answer.code === undefined
        ? answer
        : { userId: created!.userId as string, isNewUser: String(created!.isNewUser) };
    };

    const alice = (more: Partial<Account> = {}): Account => ({
      id: 'alice',
      email: 'alice@example.com',
      emailVerified: true,
      identities: [],
      ...more,
    });
    const refused = { error: 'access_denied', error_code: 'email_already_used', state: 'xyz' };

    it('nobody has the address: a new account', async () => {
      const accounts: Account[] = [];
      expect(await signInAs('alice', accounts)).toEqual({ userId: 'new-alice', isNewUser: 'true' });
      expect(await signInAs('alice', accounts)).toEqual({ userId: 'new-alice', isNewUser: 'false' });
    });

    it('the address is an account’s, verified on both sides', async () => {
      const accounts = [alice()];
      const answer = await signInAs('alice', accounts);
      if (emailStrategy === 'refuse') return expect(answer).toMatchObject(refused);
      const expected = {
        link_verified: { userId: 'alice', isNewUser: 'false' },
        allow_duplicates: { userId: 'new-alice', isNewUser: 'true' },
      }[emailStrategy];
      expect(answer).toEqual(expected);
      expect(accounts[0]!.identities).toEqual(emailStrategy === 'link_verified' ? ['alice'] : []);
    });

    it.each([
      ['the provider has not verified it', 'mallory', true],
      ['the host has not verified it', 'alice', false],
    ])('the address is an account’s, and %s: never that account', async (_what, login, emailVerified) => {
      const accounts = [alice({ emailVerified })];
      const answer = await signInAs(login, accounts);
      if (emailStrategy === 'allow_duplicates') expect(answer.userId).toBe(`new-${login}`);
      else expect(answer).toMatchObject(refused);
      expect(accounts[0]!.identities).toEqual([]);
    });

    it('links to who is signed in, once, and not what is another’s', async () => {
      const accounts = [alice(), alice({ id: 'bob', email: 'bob@example.com' })];
      const bob = { type: 'link' as const, as: 'bob' };
      expect(await signInAs('alice', accounts, bob)).toEqual({ userId: 'bob', isNewUser: 'false' });
      expect(await signInAs('alice', accounts, bob)).toEqual({ userId: 'bob', isNewUser: 'false' });
      expect(accounts.map(({ identities }) => identities)).toEqual([[], ['alice']]);
      expect(await signInAs('alice', accounts, { type: 'link', as: 'alice' })).toMatchObject({
        error: 'access_denied',
        error_code: 'account_already_linked',
        state: 'xyz',
      });
    });
  },
);

it('an unknown emailStrategy merges nothing: it is an error', () => {
  for (const emailStrategy of [undefined, 'link-verified', 'none', 'Refuse']) {
    expect(() => accountLinking({ emailStrategy } as never)).toThrow(TypeError);
  }
});

describe('the presets', () => {
  it('are data, of eight providers', () => {
    expect(Object.keys(providerPresets).sort()).toEqual(
      ['apple', 'discord', 'facebook', 'github', 'gitlab', 'google', 'microsoft', 'slack'].sort(),
    );
    expect(JSON.parse(JSON.stringify(providerPresets))).toEqual(providerPresets);
  });

  it('an error for hosts with a resolveUser of their own', () => {
    expect(accountAlreadyLinked()).toMatchObject({
      code: 'access_denied',
      members: { error_code: 'account_already_linked' },
    });
  });
});
