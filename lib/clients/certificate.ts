import { createHash, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

import type { Request } from 'express';

import { serverError } from '../errors';
import { refusePromise } from '../hooks';
import { algorithmsOf, thumbprint } from '../tokens/algorithms';
import type { Client, ClientRecord } from './client';
import type { KeySet } from './key-sets';

/** The client's certificate of a request, as the host's TLS, or the proxy in front of it, knows it. */
export interface ClientCertificate {
  /** As PEM, DER, or Node's own; nothing if the request came without one. */
  readonly certificate: X509Certificate | string | Buffer | undefined | null;
  /** Whether its chain leads to an authority that the host trusts, and it has not expired: `tls_client_auth` needs it. */
  readonly verified: boolean;
}

/**
 * Gives the certificate of a request, if there is one: from the socket, or from a header that only the host's own proxy
 * can set. With Node's TLS, `getPeerX509Certificate()` and `authorized` of a `TLSSocket`.
 */
export type ClientCertificateOf = (req: Request) => ClientCertificate | undefined | null;

/** A certificate that was read. */
export interface PresentedCertificate {
  readonly certificate: X509Certificate;
  readonly verified: boolean;
  /** SHA-256 of its DER form: `cnf["x5t#S256"]` (RFC 8705 §3.1). */
  readonly thumbprint: string;
}

export type CertificateReader = (req: Request) => PresentedCertificate | undefined;

export function certificateReader(of: ClientCertificateOf | undefined): CertificateReader {
  return (req) => {
    const given = of?.(req);
    refusePromise(given, 'clientCertificate');
    const { certificate: input, verified = false } = given ?? {};
    if (input === undefined || input === null) return undefined;
    // What a proxy says is text, and every text is true.
    if (typeof verified !== 'boolean') throw serverError(new TypeError('verified must be true or false'));
    try {
      const certificate = input instanceof X509Certificate ? input : new X509Certificate(input);
      const digest = createHash('sha256').update(certificate.raw).digest('base64url');
      return { certificate, verified, thumbprint: digest };
    } catch (cause) {
      throw serverError(cause);
    }
  };
}

/** Why the certificate is not that of the client, or `undefined` if it is. @see RFC 8705 §2 */
export async function certificateFault(
  presented: PresentedCertificate,
  record: ClientRecord,
  keySetOf: (record: ClientRecord) => KeySet,
): Promise<string | undefined> {
  const { client } = record;
  if (client.tokenEndpointAuthMethod === 'self_signed_tls_client_auth') {
    return keyFault(presented, keySetOf(record));
  }
  // Nobody but its authority vouches for the names in a certificate.
  if (!presented.verified) return 'certificate not verified';
  return isNamedBy(presented.certificate, client) ? undefined : 'certificate of another subject';
}

async function keyFault({ certificate }: PresentedCertificate, keys: KeySet): Promise<string | undefined> {
  const { publicKey } = certificate;
  if (algorithmsOf(publicKey).length === 0) return 'certificate of a key that cannot be used';
  try {
    const registered = (await keys.all()).map(thumbprint);
    return registered.includes(thumbprint(publicKey)) ? undefined : 'certificate of an unknown key';
  } catch (error) {
    return (error as Error).message;
  }
}

function isNamedBy(certificate: X509Certificate, { metadata }: Client): boolean {
  if (metadata.tlsClientAuthSubjectDn !== undefined) {
    return isSameName(certificate.subject, metadata.tlsClientAuthSubjectDn);
  }
  const names = [
    ['DNS', metadata.tlsClientAuthSanDns],
    ['URI', metadata.tlsClientAuthSanUri],
    ['IP Address', metadata.tlsClientAuthSanIp],
    ['email', metadata.tlsClientAuthSanEmail],
  ].filter(([, name]) => name !== undefined);
  // Node writes a name with a comma in quotes, so that no name can look like two.
  const present = certificate.subjectAltName?.split(', ').map(comparableName) ?? [];
  return names.some(([kind, name]) => present.includes(comparableName(`${kind ?? ''}:${name ?? ''}`)));
}

/** RFC 8705 §2.1.2: addresses are compared by what they stand for. */
function comparableName(name: string): string {
  const address = /^IP Address:(.*)$/.exec(name)?.[1] ?? '';
  return isIP(address) === 6 ? `IP Address:${new URL(`http://[${address}]`).hostname}` : name;
}

/** RFC 4514 §2.1 writes the last part first; Node gives one part a line, escaped in the same way, the first one first. */
function isSameName(subject: string, registered: string): boolean {
  const parts = registered.match(/(?:\\.|[^,\\])+/g) ?? [];
  return comparableParts(subject.split('\n')) === comparableParts(parts.reverse());
}

/** The order within a part that has several values means nothing, nor does the case of a type (RFC 4514 §2.2 and §2.3). */
function comparableParts(parts: readonly string[]): string {
  return JSON.stringify(
    parts.map((part) => (part.match(/(?:\\.|[^+\\])+/g) ?? []).map(comparableAttribute).sort()),
  );
}

function comparableAttribute(attribute: string): string[] {
  const [type = '', ...value] = attribute.trim().split('=');
  return [type.trim().toUpperCase(), unescaped(value.join('='))];
}

/** RFC 4514 §2.4 */
function unescaped(value: string): string {
  return value
    .replace(/(?:\\[0-9a-f]{2})+/gi, (octets) => Buffer.from(octets.replaceAll('\\', ''), 'hex').toString())
    .replace(/\\(.)/g, '$1');
}
