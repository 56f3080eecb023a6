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

/**
 * How to treat a new identity whose e-mail address belongs to an existing account. It matters only where both sides have verified
 * the address. An address that the provider has not verified is not looked up: whoever may claim any address there would learn
 * which addresses have accounts. An address that the host has not verified does not make an account its owner's.
 */
export type EmailStrategy =
  /** Links the identity to that account, unless the account has another identity of the same provider. */
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
  /** Its address as it is stored. A database may find addresses equal that differ in case or accents: those are not equal. */
  email: string;
  /** Whether the host has verified that the address belongs to the account's user. */
  emailVerified: boolean;
  /** The ids of the providers at which the account has an identity. */
  providerIds: readonly string[];
}

/** The circumstances in which an account is created. */
export interface CreateUserContext<User extends Account> extends ResolveUserContext {
  /**
   * An account that has the same address, but does not belong to the same person as far as the host knows: its address is not
   * verified, or it has another identity of the same provider. A host whose addresses are unique must take the address from one of
   * the two: the person who signs in has just proven that it is theirs.
   */
  readonly sameEmail: User | undefined;
}

/** The options of `accountLinking`: access to the host's accounts. */
export interface AccountLinkingOptions<User extends Account> {
  /** How to treat an e-mail address that belongs to an existing account. */
  emailStrategy: EmailStrategy;
  /** Finds an account by provider, `issuer` if the provider has several, and `subject`: never by e-mail address. */
  findByIdentity(identity: ProviderIdentity): Awaitable<User | undefined | null>;
  /** Finds an account by address. It is called with verified addresses only. */
  findByEmail(email: string): Awaitable<AccountByEmail<User> | undefined | null>;
  /** Creates an account with this identity. It must fail if the identity already has an account. */
  createUser(identity: ProviderIdentity, context: CreateUserContext<User>): Awaitable<User>;
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
    const known = await find(identity);
    if (type === 'link' && currentUser) {
      if (known && String(known.id) !== currentUser.id) throw accountAlreadyLinked();
      return known ?? link(currentUser, identity);
    }
    if (known) return known;

    const found = await sameEmail(identity);
    if (!found) return create(identity, { ...context, sameEmail: undefined });
    const { user, emailVerified, providerIds } = found;
    if (emailVerified && emailStrategy === 'refuse') throw emailAlreadyUsed();
    const isSamePerson = emailVerified && !providerIds.includes(identity.providerId);
    return isSamePerson ? link(user, identity) : create(identity, { ...context, sameEmail: user });
  };

  async function find(identity: ProviderIdentity): Promise<User | undefined> {
    return (await options.findByIdentity(identity)) ?? undefined;
  }

  async function sameEmail({
    email,
    emailVerified,
  }: ProviderIdentity): Promise<AccountByEmail<User> | undefined> {
    if (email === undefined || !emailVerified || emailStrategy === 'allow_duplicates') return undefined;
    const found = (await options.findByEmail(email)) ?? undefined;
    if (!found) return undefined;
    const { email: own, emailVerified: isVerified, providerIds } = found as Partial<AccountByEmail<User>>;
    // Even the text 'false' is truthy.
    if (typeof own !== 'string' || typeof isVerified !== 'boolean' || !Array.isArray(providerIds))
      throw new TypeError('findByEmail must return user, email, emailVerified and providerIds');
    return found.email === email ? found : undefined;
  }

  async function create(
    identity: ProviderIdentity,
    context: CreateUserContext<User>,
  ): Promise<Account & NewUser> {
    try {
      // Read one by one: an ORM's model may keep its fields where a spread does not find them.
      const { id, name, email } = await options.createUser(identity, context);
      return { id, name, email, isNew: true };
    } catch (thrown) {
      // In another tab, or another process, the same person was faster.
      const known = await find(identity);
      if (known) return known;
      throw thrown;
    }
  }

  async function link(user: Account, identity: ProviderIdentity): Promise<Account> {
    try {
      await options.linkIdentity({ id: String(user.id) }, identity);
      return user;
    } catch (thrown) {
      const known = await find(identity);
      if (known && String(known.id) === String(user.id)) return known;
      throw thrown;
    }
  }
}

function emailAlreadyUsed(): OAuthError {
  return accessDenied('Another account has this e-mail address', {
    members: { error_code: 'email_already_used' },
  });
}

/** Creates the error for an identity that belongs to another user, to be thrown by a `resolveUser`. */
export function accountAlreadyLinked(): OAuthError {
  return accessDenied('This account is linked to another user', {
    members: { error_code: 'account_already_linked' },
  });
}
