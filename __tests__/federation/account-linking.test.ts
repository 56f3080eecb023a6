import {
  accountAlreadyLinked,
  accountLinking,
  providerPresets,
  type AccountByEmail,
  type EmailStrategy,
  type ProviderIdentity,
  type ResolveUserContext,
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
              const providerIds = user?.identities.map(() => 'acme') ?? [];
              const { email: own = '', emailVerified = false } = user ?? {};
              return user && { user, email: own, emailVerified, providerIds };
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
    ])('the address is an account’s, and %s: another account', async (_what, login, emailVerified) => {
      const accounts = [alice({ emailVerified })];
      // The same answer as if nobody had the address: strangers do not learn who has an account, and owners are not locked out.
      expect(await signInAs(login, accounts)).toEqual({ userId: `new-${login}`, isNewUser: 'true' });
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

describe('accountLinking, on accounts in a database', () => {
  const identity: ProviderIdentity = {
    providerId: 'acme',
    issuer: undefined,
    subject: 'second',
    email: 'alice@example.com',
    emailVerified: true,
    name: undefined,
    username: undefined,
    picture: undefined,
    authTime: undefined,
    acr: undefined,
    amr: undefined,
    claims: {},
  };
  const context = { type: 'authenticate', currentUser: undefined } as ResolveUserContext;

  /** Resolves an identity where the database finds an account by its address. */
  async function resolve(
    found: Partial<AccountByEmail<{ id: string }>>,
    emailStrategy: EmailStrategy = 'link_verified',
  ): Promise<unknown[]> {
    const done: unknown[] = [];
    const user = { id: 'old' };
    const account = { user, email: 'alice@example.com', emailVerified: true, providerIds: [], ...found };
    const resolveUser = accountLinking({
      emailStrategy,
      findByIdentity: () => undefined,
      findByEmail: () => account,
      createUser: (_identity, { sameEmail }) => {
        done.push(['created beside', sameEmail?.id]);
        return { id: 'new' };
      },
      linkIdentity: ({ id }) => done.push(['linked to', id]),
    });
    await resolveUser(identity, context);
    return done;
  }

  it('links to the account with the very same verified address', async () => {
    expect(await resolve({})).toEqual([['linked to', 'old']]);
    expect(await resolve({ providerIds: ['other'] })).toEqual([['linked to', 'old']]);
  });

  it('a second subject of the same provider is another person: an address is given to somebody new', async () => {
    expect(await resolve({ providerIds: ['acme'] })).toEqual([['created beside', 'old']]);
  });

  it.each(['Alice@example.com', 'álice@example.com', 'alice@example.com ', 'alice@exämple.com'])(
    'an address that only the database finds equal is not equal: %s',
    async (email) => {
      expect(await resolve({ email })).toEqual([['created beside', undefined]]);
      expect(await resolve({ email }, 'refuse')).toEqual([['created beside', undefined]]);
    },
  );

  it.each(['false', 'true', 1, undefined])(
    'emailVerified %j is neither yes nor no',
    async (emailVerified) => {
      await expect(resolve({ emailVerified: emailVerified as never })).rejects.toThrow(/emailVerified/);
    },
  );

  it('an account of unknown providers is not linked: that is a mistake of the host', async () => {
    await expect(resolve({ providerIds: undefined })).rejects.toThrow(/providerIds/);
  });
});

it('two tabs of a first sign-in give one account, and no error', async () => {
  const accounts = new Map<string, { id: string }>();
  const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const host = federatedHost(VARIANTS[0]!, providersOf(upstreams), {
    federation: {
      resolveUser: accountLinking<{ id: string }>({
        emailStrategy: 'link_verified',
        findByIdentity: async ({ subject }) => {
          const found = accounts.get(subject);
          // Both tabs look before either creates.
          for (let turn = 0; turn < 20; turn++) await pause();
          return found;
        },
        findByEmail: () => undefined,
        createUser: ({ subject }) => {
          if (accounts.has(subject)) throw new Error('duplicate key value violates unique constraint');
          const user = { id: `user-${accounts.size + 1}` };
          accounts.set(subject, user);
          return user;
        },
        linkIdentity: () => undefined,
      }),
    },
  });
  const tabs = await Promise.all([signIn(host, { login: 'alice' }), signIn(host, { login: 'alice' })]);
  expect(tabs.map(({ response }) => 'code' in answerOf(response))).toEqual([true, true]);
  const signedIn = host.events.filter(({ name }) => name === 'provider.signed_in');
  expect(signedIn.map(({ event }) => event.userId)).toEqual(['user-1', 'user-1']);
});

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

  it('say what their word about an address is good for', () => {
    const trusted = Object.entries(providerPresets).flatMap(
      ([id, preset]: [string, { trustEmailVerified?: boolean }]) => {
        expect(typeof preset.trustEmailVerified).toBe('boolean');
        return preset.trustEmailVerified ? id : [];
      },
    );
    expect(trusted.sort()).toEqual(['apple', 'discord', 'github', 'gitlab', 'google']);
  });

  it('an error for hosts with a resolveUser of their own', () => {
    expect(accountAlreadyLinked()).toMatchObject({
      code: 'access_denied',
      members: { error_code: 'account_already_linked' },
    });
  });
});
