import type { ClientMetadata } from '../adapters/contract';
import { invalidClientMetadata, OAuthError, serverError } from '../errors';
import { callHost, refusePromises, type Awaitable } from '../host/call';
import { isJsonObject } from '../json';
import { isVisible } from '../printable';
import { OFFLINE_ACCESS, scopeValues } from './client';
import type { ClientChecker } from './client-checks';
import { missingFeatures, type ServerFeatures } from './client-features';
import { fromWire, type WireMetadata } from './rfc7591';
import type { CheckSector } from './sector-identifier';

/** What a metadata document, which is for many servers, may say although it is of no use here. */
const FORGIVEN: readonly unknown[] = [
  'authorizationSignedResponseAlg',
  'backchannelLogoutUri',
  'clientUri',
  'contacts',
  'idTokenSignedResponseAlg',
  'logoUri',
  'policyUri',
  'subjectType',
  'tosUri',
];

/** Each is compared with the one of a request. */
const MAXIMUM_REDIRECT_URIS = 50;

/** A client that nobody here has registered acts for users only: otherwise anybody could get tokens of a client's own. */
const GRANT_TYPES = ['authorization_code', 'refresh_token'];

/** Scope values about the user (OpenID Connect Core §5.4): a client that wants them requests them. */
const ABOUT_USERS: readonly string[] = ['openid', 'profile', 'email', 'address', 'phone', OFFLINE_ACCESS];

/** The source of the metadata that the host is asked about. */
export interface ApprovalContext {
  /** Where the metadata comes from. */
  readonly source: 'metadata_document' | 'registration';
  /** Whether the client registered with an initial access token that the host has accepted (RFC 7591 §3). */
  readonly hasInitialAccessToken: boolean;
  /** The claims of the software statement of this request, if it has one (RFC 7591 §2.3). */
  readonly softwareStatement: WireMetadata | undefined;
}

/**
 * Decides about a client that introduces itself: `true` accepts it, `false` or nothing refuses it. An object accepts it, and replaces
 * members of its metadata, for example `{ selfAsserted: false }` for a client that the host knows. With `scope`, it may request no other
 * scope values, unless there is `optionalScope` too.
 */
export type ApproveClient = (
  client: Readonly<ClientMetadata>,
  context: ApprovalContext,
) => Awaitable<boolean | Partial<ClientMetadata> | undefined>;

/** Accepts clients that introduce themselves. */
export interface SelfAssertedClients {
  /**
   * Converts what a client says of itself to metadata, and adds what the server has decided. No I/O.
   * @throws OAuthError `invalid_client_metadata`, `invalid_redirect_uri`
   */
  read(
    wire: WireMetadata,
    decided: Partial<ClientMetadata> & { readonly clientId: string },
    source: ApprovalContext['source'],
  ): ClientMetadata;
  /** Returns the metadata that the host accepts. @throws OAuthError `invalid_client_metadata` */
  approve(client: ClientMetadata, context: ApprovalContext): Promise<ClientMetadata>;
}

export function createSelfAssertedClients(options: {
  /** The scope values that such clients may request. */
  scope: readonly string[];
  unknownScopes: 'refuse' | 'drop';
  approve: ApproveClient | undefined;
  check: ClientChecker;
  /** Refuses unknown members too. */
  checkStrictly: ClientChecker;
  checkSector: CheckSector;
  features: ServerFeatures;
}): SelfAssertedClients {
  const { scope, unknownScopes, check, checkStrictly, checkSector, features } = options;

  function read(
    wire: WireMetadata,
    decided: Partial<ClientMetadata> & { readonly clientId: string },
    source: ApprovalContext['source'],
  ): ClientMetadata {
    const given = fromWire(wire);
    const client: ClientMetadata = {
      ...given,
      grantTypes: grantTypesOf(given),
      scope: scopeOf(given, source),
      ...decided,
    };
    const forgiven = source === 'metadata_document' ? withoutForgiven(client) : client;
    refuseFaults(forgiven);
    return forgiven;
  }

  async function approve(client: ClientMetadata, context: ApprovalContext): Promise<ClientMetadata> {
    await checkSector(client);
    const decision: unknown = options.approve
      ? await callHost(() => options.approve?.(client, context))
      : true;
    if (decision === true) return client;
    if (!isJsonObject(decision)) throw invalidClientMetadata('The client is not accepted here');
    refusePromises(decision, 'selfAsserted.approve');
    // A member that is undefined must not take a mark away.
    const set = Object.entries(decision).filter(([, value]) => value !== undefined);
    const limit = 'scope' in decision ? { optionalScope: '' } : {};
    const approved = { ...client, ...limit, ...Object.fromEntries(set), clientId: client.clientId };
    const [fault] = checkStrictly(approved);
    if (fault)
      throw serverError(new TypeError(`selfAsserted.approve returned an invalid client: ${fault.message}`));
    return approved;
  }

  /** RFC 7591 §2: the default is `authorization_code`. Grant types that are not for such clients are left out. */
  function grantTypesOf({ grantTypes = ['authorization_code'] }: Partial<ClientMetadata>): readonly string[] {
    const names: unknown = grantTypes;
    if (!Array.isArray(names)) throw invalidClientMetadata('grant_types must be a list');
    const possible = GRANT_TYPES.filter((name) => names.includes(name));
    if (!possible.includes('authorization_code'))
      throw invalidClientMetadata('grant_types must contain authorization_code');
    return possible;
  }

  /**
   * Returns the scope of requests that name none. A metadata document is for many servers, whose scope values it may contain. Without a
   * scope, a client gets what is not about its user.
   */
  function scopeOf({ scope: requested }: Partial<ClientMetadata>, source: ApprovalContext['source']): string {
    const byDefault = scope.filter((value) => !ABOUT_USERS.includes(value)).join(' ');
    if (requested === undefined) return byDefault;
    if (typeof requested !== 'string') throw invalidClientMetadata('scope must be a string');
    const values = scopeValues(requested);
    const excess = values.find((value) => value !== OFFLINE_ACCESS && !scope.includes(value));
    if (excess !== undefined && source === 'registration' && unknownScopes === 'refuse')
      throw invalidClientMetadata('The scope has values that are not available here');
    // Where nothing is left, the client has not named what it needs here.
    return values.filter((value) => scope.includes(value)).join(' ') || byDefault;
  }

  /** Leaves out members that this server has no use for. */
  function withoutForgiven(client: ClientMetadata): ClientMetadata {
    const missing = missingFeatures(client, features).map(({ member }): unknown => member);
    const faulty = check(client).map(({ path }): unknown => path[0]);
    const forgiven = FORGIVEN.filter((member) => missing.includes(member) || faulty.includes(member));
    const entries = Object.entries(client).filter(([name]) => !forgiven.includes(name));
    return Object.fromEntries(entries) as unknown as ClientMetadata;
  }

  function refuseFaults(client: ClientMetadata): void {
    const { clientName = '', softwareId = 'x', softwareVersion = 'x', redirectUris = [] } = client;
    if (Array.isArray(redirectUris) && redirectUris.length > MAXIMUM_REDIRECT_URIS)
      throw new OAuthError('invalid_redirect_uri', 'Too many redirect_uris');
    const [fault] = check(client);
    if (fault) {
      const code = fault.path[0] === 'redirectUris' ? 'invalid_redirect_uri' : 'invalid_client_metadata';
      throw new OAuthError(code, inWireNames(fault.message));
    }
    const names = [clientName || 'x', softwareId, softwareVersion, ...(client.contacts ?? [])];
    if (!names.every(isVisible)) throw invalidClientMetadata('A text has characters that cannot be shown');
    const [missing] = missingFeatures(client, features);
    if (missing) throw invalidClientMetadata(`${inWireNames(missing.member)} is not supported here`);
  }

  return { read, approve };
}

/** The names of members in a message, as a client's developer knows them. */
function inWireNames(message: string): string {
  return message
    .replaceAll('"', '')
    .replace(
      /([a-z])([A-Z])/g,
      (_match, before: string, letter: string) => `${before}_${letter.toLowerCase()}`,
    );
}
