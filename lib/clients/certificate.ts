import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

import type { Request } from 'express';

import { sha256 } from '../digest';
import { serverError } from '../errors';
import { callHostSync } from '../host/call';
import { algorithmsOf, thumbprint } from '../tokens/algorithms';
import type { Client, ClientRecord } from './client';
import type { KeySet } from './key-sets';

/** The TLS client certificate of a request, from the host's TLS or from the proxy in front of it. */
export interface ClientCertificate {
  /** The certificate as PEM, DER or Node's `X509Certificate`; `undefined` or `null` if the request has none. */
  readonly certificate: X509Certificate | string | Buffer | undefined | null;
  /** Whether its chain ends at an authority that the host trusts, and it has not expired. `tls_client_auth` requires it. */
  readonly verified: boolean;
}

/**
 * Returns the certificate of a request, if it has one: from the socket, or from a header that only the host's own proxy can
 * set. Node's `TLSSocket` has `getPeerX509Certificate()` and `authorized`.
 */
export type ClientCertificateOf = (req: Request) => ClientCertificate | undefined | null;

/** A certificate that was parsed. */
export interface PresentedCertificate {
  readonly certificate: X509Certificate;
  readonly verified: boolean;
  /** SHA-256 of its DER form: `cnf["x5t#S256"]` (RFC 8705 §3.1). */
  readonly thumbprint: string;
}

export type CertificateReader = (req: Request) => PresentedCertificate | undefined;

export function createCertificateReader(of: ClientCertificateOf | undefined): CertificateReader {
  if (!of) return () => undefined;
  return (req) => {
    const given = callHostSync('clientCertificate', () => of(req));
    const { certificate: input, verified = false } = given ?? {};
    if (input === undefined || input === null) return undefined;
    // A proxy's header is text, and even the text 'false' is truthy.
    if (typeof verified !== 'boolean') throw serverError(new TypeError('verified must be true or false'));
    return { ...readCertificate(input), verified };
  };
}

/** Reads a certificate. @throws OAuthError `server_error` if it cannot be parsed */
export function readCertificate(
  input: X509Certificate | string | Buffer,
): Omit<PresentedCertificate, 'verified'> {
  try {
    const certificate = input instanceof X509Certificate ? input : new X509Certificate(input);
    return { certificate, thumbprint: sha256(certificate.raw) };
  } catch (cause) {
    throw serverError(cause);
  }
}

/** Returns why a certificate does not authenticate a client, or `undefined` if it does. @see RFC 8705 §2 */
export async function certificateFault(
  presented: PresentedCertificate,
  record: ClientRecord,
  keySetOf: (record: ClientRecord) => KeySet,
): Promise<string | undefined> {
  const { client } = record;
  if (client.tokenEndpointAuthMethod === 'self_signed_tls_client_auth') {
    return keyFault(presented, keySetOf(record));
  }
  // The names in a certificate can be trusted only if its authority is trusted.
  if (!presented.verified) return 'certificate not verified';
  return isNamedBy(presented.certificate, client) ? undefined : 'certificate of another subject';
}

async function keyFault({ certificate }: PresentedCertificate, keys: KeySet): Promise<string | undefined> {
  const { publicKey } = certificate;
  if (algorithmsOf(publicKey).length === 0) return 'certificate with a key of an unsupported kind';
  try {
    const registered = (await keys.all()).map(thumbprint);
    return registered.includes(thumbprint(publicKey)) ? undefined : 'certificate with an unregistered key';
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
  // Node puts a name that contains a comma in quotes, so that it cannot look like two names.
  const present = certificate.subjectAltName?.split(', ').map(comparableName) ?? [];
  return names.some(([kind, name]) => present.includes(comparableName(`${kind ?? ''}:${name ?? ''}`)));
}

/** Normalizes an IPv6 address, because IP addresses are compared by value (RFC 8705 §2.1.2). */
function comparableName(name: string): string {
  const address = /^IP Address:(.*)$/.exec(name)?.[1] ?? '';
  return isIP(address) === 6 ? `IP Address:${new URL(`http://[${address}]`).hostname}` : name;
}

/**
 * Whether two subjects are the same. RFC 4514 §2.1 writes the last part first. Node writes each part on its own line, the first
 * part first, with the same escapes.
 */
function isSameName(subject: string, registered: string): boolean {
  const parts = registered.match(/(?:\\.|[^,\\])+/g) ?? [];
  return comparableParts(subject.split('\n')) === comparableParts(parts.reverse());
}

/**
 * Converts parts to text that can be compared: neither the order of several values within a part nor the case of a type is
 * significant (RFC 4514 §2.2 and §2.3).
 */
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
