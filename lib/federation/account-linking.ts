import { accessDenied, type OAuthError } from '../errors';
import type { Awaitable } from '../host/call';
import type { ProviderIdentity } from './identity';
import type { NewUser, ResolveUserContext } from './resolve-user';

/** The members of a host's account that `accountLinking` uses. */
export interface Account {
  /** The id, which becomes `sub`. */
  readonly id: string | number;
  /** The name for the consent page. */
  readonly name?: unknown;
  /** The address for the consent page, if there is no name. */
  readonly email?: unknown;
}

/** How to treat a new identity whose e-mail address belongs to an existing account. */
export type EmailStrategy =
  /** Links it to that account if both sides have verified the address, otherwise refuses. */
  | 'link_verified'
  /** Refuses: the user must sign in as before and then link the identity. */
  | 'refuse'
  /** Creates another account with the same address. */
  | 'allow_duplicates';

const EMAIL_STRATEGIES: readonly unknown[] = ['link_verified', 'refuse', 'allow_duplicates'];

/** An account that was found by its e-mail address. */
export interface AccountByEmail<User extends Account> {
  /** The account. */
  user: User;
  /** Whether the host has verified that the address belongs to the account's user. */
  emailVerified: boolean;
}

/** The options of `accountLinking`: access to the host's accounts. */
export interface AccountLinkingOptions<User extends Account> {
  /** How to treat an e-mail address that belongs to an existing account. */
  emailStrategy: EmailStrategy;
  /** Finds an account by provider, `issuer` if the provider has several, and `subject`: never by e-mail address. */
  findByIdentity(identity: ProviderIdentity): Awaitable<User | undefined | null>;
  /** Finds an account by address, and says whether the host has verified that the address belongs to its user. */
  findByEmail(email: string): Awaitable<AccountByEmail<User> | undefined | null>;
  /** Creates an account with this identity. It must fail if the identity already has an account. */
  createUser(identity: ProviderIdentity, context: ResolveUserContext): Awaitable<User>;
  /** Links the identity to an account. It must throw `accountAlreadyLinked()` if another account has the identity. */
  linkIdentity(user: { readonly id: string }, identity: ProviderIdentity): Awaitable<unknown>;
}

/**
 * Creates a `resolveUser` for hosts where each user has one account with any number of linked identities.
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

  return async (identity: ProviderIdentity, context: ResolveUserContext): Promise<Account & NewUser> => {
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
      // Read one by one: an ORM's model may keep its fields where a spread does not find them.
      const { id, name, email: address } = await options.createUser(identity, context);
      return { id, name, email: address, isNew: true };
    }
    // An address that one side has not verified may belong to anyone.
    if (emailStrategy === 'refuse' || !identity.emailVerified || !sameEmail.emailVerified) {
      throw accessDenied('Another account has this e-mail address', {
        members: { error_code: 'email_already_used' },
      });
    }
    const { user } = sameEmail;
    await options.linkIdentity({ id: String(user.id) }, identity);
    return user;
  };
}

/** Creates the error for an identity that belongs to another user, to be thrown by a `resolveUser`. */
export function accountAlreadyLinked(): OAuthError {
  return accessDenied('This account is linked to another user', {
    members: { error_code: 'account_already_linked' },
  });
}
