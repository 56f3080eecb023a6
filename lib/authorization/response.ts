import type { Response } from 'express';

import { redirect, withParameters } from '../http/redirect';
import { formPostPage } from '../pages/form-post';
import { webMessagePage } from '../pages/web-message';
import type { Policies } from '../policy/policies';
import { signJwt } from '../tokens/jwt';
import type { SigningKeys } from '../tokens/signing-keys';
import type { RedirectTarget } from './redirect-target';

type ResponseParameters = Readonly<Record<string, string | undefined>>;

/** Sends an authorization response to the client, in the mode that it requested. */
export type SendToClient = (
  res: Response,
  target: RedirectTarget,
  parameters: ResponseParameters,
  options: { seeOther: boolean },
) => void;

/** JARM §2.1 advises ten minutes at most. Seconds. */
const RESPONSE_LIFETIME = 600;

/** @see RFC 6749 §4.1.2, RFC 9207 §2, OAuth 2.0 Form Post Response Mode, JARM §2 */
export function createSendToClient(options: {
  issuer: string;
  signingKeys: Pick<SigningKeys, 'signer'>;
  policies: Pick<Policies, 'idTokenAlgorithms'>;
  clock: () => number;
}): SendToClient {
  const { issuer, signingKeys, policies, clock } = options;

  function signed({ client }: RedirectTarget, parameters: ResponseParameters): ResponseParameters {
    const { authorizationSignedResponseAlg: alg } = client.metadata;
    const signer = signingKeys.signer(alg === undefined ? policies.idTokenAlgorithms(client) : [alg]);
    const iat = Math.floor(clock() / 1000);
    // JSON leaves out members that are undefined.
    const claims = { ...parameters, aud: client.clientId, iat, exp: iat + RESPONSE_LIFETIME };
    return { response: signJwt(claims, signer, 'JWT') };
  }

  return (res, target, given, { seeOther }) => {
    const { client, redirectUri, responseMode, state, isSilent } = target;
    const isSigned = responseMode.endsWith('jwt');
    // JARM §2.1 requires `iss`.
    const all = { ...given, state, iss: isSigned || client.authorizationResponseIss ? issuer : undefined };
    const parameters = isSigned ? signed(target, all) : all;
    if (responseMode.startsWith('form_post')) formPostPage(res, redirectUri, parameters);
    else if (responseMode === 'web_message')
      webMessagePage(res, redirectUri, parameters, { framed: isSilent });
    else redirect(res, withParameters(redirectUri, parameters), { seeOther });
  };
}
