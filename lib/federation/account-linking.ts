import { OAuthError } from '../errors';
import type { ProviderIdentity } from './identity';
import type { ResolveUserContext } from './resolve-user';

interface Account {
  readonly id: string | number;
  /** For the consent page. */
  readonly name?: unknown;
  readonly email?: unknown;
}

/** What to do with a new identity whose e-mail address an account has already. */
export type EmailStrategy =
  /** Links it to that account if both sides have verified the address, else refuses. */
  | 'link_verified'
  /** Refuses: the user must sign in as before, and link. */
  | 'refuse'
  /** Makes another account with the same address. */
  | 'allow_duplicates';

const EMAIL_STRATEGIES: readonly unknown[] = ['link_verified', 'refuse', 'allow_duplicates'];

/** A host's accounts, as `accountLinking` needs them. */
export interface AccountLinkingOptions<User extends Account> {
  emailStrategy: EmailStrategy;
  /** By provider, its `issuer` if it has many, and `subject`: never by e-mail address. */
  findByIdentity(identity: ProviderIdentity): Awaitable<User | undefined | null>;
  /** By address, compared as the host compares addresses, and whether the host has verified that it is this user's. */
  findByEmail(email: string): Awaitable<{ user: User; emailVerified: boolean } | undefined | null>;
  /** Makes an account with this identity; it must fail if the identity has one. */
  createUser(identity: ProviderIdentity, context: ResolveUserContext): Awaitable<User>;
  /** Links the identity to an account; if another one has it, it must throw `accountAlreadyLinked()`. */
  linkIdentity(user: { readonly id: string }, identity: ProviderIdentity): Awaitable<unknown>;
}

type Awaitable<T> = T | Promise<T>;

/**
 * A `resolveUser` for hosts with one account for each user and any number of identities linked to it.
 *
 * @throws TypeError for an unknown `emailStrategy`
 * @example
 * resolveUser: accountLinking({ emailStrategy: 'link_verified', findByIdentity, findByEmail, createUser, linkIdentity })
 */
export function accountLinking<User extends Account>(options: AccountLinkingOptions<User>) {
  const { emailStrategy } = options;
  if (!EMAIL_STRATEGIES.includes(emailStrategy)) {
    throw new TypeError(`emailStrategy must be one of ${EMAIL_STRATEGIES.join(', ')}`);
  }

  return async (
    identity: ProviderIdentity,
    context: ResolveUserContext,
  ): Promise<Account & { isNew?: boolean }> => {
    const { type, currentUser } = context;
    const known = (await options.findByIdentity(identity)) ?? undefined;
    if (type === 'link' && currentUser) {
      if (known && String(known.id) !== currentUser.id) throw accountAlreadyLinked();
      if (!known) await options.linkIdentity(currentUser, identity);
      return known ?? currentUser;
    }
    if (known) return known;

    const { email } = identity;
    const sameEmail =
      email === undefined || emailStrategy === 'allow_duplicates'
        ? undefined
        : await options.findByEmail(email);
    if (!sameEmail) {
      // One by one: a model of a database has its fields where a spread does not find them.
      const { id, name, email: address } = await options.createUser(identity, context);
      return { id, name, email: address, isNew: true };
    }
    // An address that either side has not verified could be anybody's.
    if (emailStrategy === 'refuse' || !identity.emailVerified || !sameEmail.emailVerified) {
      throw new OAuthError('access_denied', 'Another account has this e-mail address', {
        members: { error_code: 'email_already_used' },
      });
    }
    const { user } = sameEmail;
    await options.linkIdentity({ id: String(user.id) }, identity);
    return user;
  };
}

/** For a `resolveUser`: the identity belongs to another user. */
export function accountAlreadyLinked(): OAuthError {
  return new OAuthError('access_denied', 'This account is linked to another user', {
    members: { error_code: 'account_already_linked' },
  });
}
