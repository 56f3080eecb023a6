import type { ClientMetadata } from '../adapters/contract';
import { CERTIFICATE_SUBJECTS } from './client';

/** The features of a server that a client's metadata may need. */
export interface ServerFeatures {
  /** Whether there is a key for an algorithm. */
  readonly signs: (alg: string) => boolean;
  /** Whether the host provides client certificates. */
  readonly hasCertificates: boolean;
  readonly hasPairwiseSubjects: boolean;
  /** Whether the grants of a session can be found when it ends. */
  readonly hasSessions: boolean;
}

/** A member of a client's metadata that needs a feature which the server lacks. */
export interface MissingFeature {
  readonly member: keyof ClientMetadata;
  /** The fault, for the host. */
  readonly fault: string;
}

export function missingFeatures(client: ClientMetadata, features: ServerFeatures): readonly MissingFeature[] {
  const { signs, hasCertificates, hasPairwiseSubjects, hasSessions } = features;
  const algorithms = (['idTokenSignedResponseAlg', 'authorizationSignedResponseAlg'] as const)
    .filter((member) => client[member] !== undefined && !signs(client[member]))
    .map((member) => ({ member, fault: `"${member}" has no signing key` }));
  const isByCertificate = /^(self_signed_)?tls_/.test(String(client.tokenEndpointAuthMethod));
  const certificates = [
    ...(client.tlsClientCertificateBoundAccessTokens === true
      ? (['tlsClientCertificateBoundAccessTokens'] as const)
      : []),
    ...(isByCertificate ? (['tokenEndpointAuthMethod'] as const) : []),
    ...CERTIFICATE_SUBJECTS.filter((name) => client[name] !== undefined),
  ].map((member) => ({ member, fault: 'needs the option "clientCertificate"' }));
  return [
    ...algorithms,
    ...(hasCertificates ? [] : certificates),
    ...(client.subjectType === 'pairwise' && !hasPairwiseSubjects
      ? [{ member: 'subjectType' as const, fault: 'needs the option "pairwiseSecret"' }]
      : []),
    ...(client.backchannelLogoutUri !== undefined && !hasSessions
      ? [
          {
            member: 'backchannelLogoutUri' as const,
            fault: '"backchannelLogoutUri" needs listGrants() of the adapter',
          },
        ]
      : []),
  ];
}
