import { createHash, X509Certificate } from 'node:crypto';

import type { Request } from 'express';

import { serverError } from '../errors';
import type { Client, ClientRecord } from './client';
import type { KeySet } from './key-sets';
import { thumbprint } from '../tokens/algorithms';

/** The client's certificate of a request, as the host's TLS, or the proxy in front of it, knows it. */
export interface ClientCertificate {
  readonly certificate: X509Certificate | string | Buffer;
  /** Whether its chain leads to an authority that the host trusts, and it has not expired: `tls_client_auth` needs it. */
  readonly verified: boolean;
}

/**
 * Gives the certificate of a request, if there is one: from the socket, or from a header that only the host's own proxy
 * can set. With Node's TLS: `(req) => { certificate: req.socket.getPeerX509Certificate(), verified: req.socket.authorized }`.
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
    if (!given) return undefined;
    try {
      const { certificate: input, verified } = given;
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
    return (await isOneOfItsKeys(presented, keySetOf(record))) ? undefined : 'certificate of an unknown key';
  }
  // Nobody but its authority vouches for the names in a certificate.
  if (!presented.verified) return 'certificate not verified';
  return isNamedBy(presented.certificate, client) ? undefined : 'certificate of another subject';
}

async function isOneOfItsKeys({ certificate }: PresentedCertificate, keys: KeySet): Promise<boolean> {
  const own = thumbprint(certificate.publicKey);
  const registered = await keys.all();
  return registered.some((key) => thumbprint(key) === own);
}

function isNamedBy(certificate: X509Certificate, { metadata }: Client): boolean {
  if (metadata.tlsClientAuthSubjectDn !== undefined) {
    return sameName(certificate.subject, metadata.tlsClientAuthSubjectDn);
  }
  const names = [
    ['DNS', metadata.tlsClientAuthSanDns],
    ['URI', metadata.tlsClientAuthSanUri],
    ['IP Address', metadata.tlsClientAuthSanIp],
    ['email', metadata.tlsClientAuthSanEmail],
  ].filter(([, name]) => name !== undefined);
  // Node writes a name with a comma in quotes, so that no name can look like two.
  const present = certificate.subjectAltName?.split(', ') ?? [];
  return names.some(([kind, name]) => present.includes(`${kind ?? ''}:${name ?? ''}`));
}

/** RFC 4514 §2.1 writes the last part first; Node gives one part a line, escaped in the same way, the first one first. */
function sameName(subject: string, registered: string): boolean {
  const parts = registered.split(/(?<!\\),\s*/).reverse();
  return subject === parts.join('\n');
}
