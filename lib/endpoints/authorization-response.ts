import type { Response } from 'express';

import type { Policies } from '../grants/policy';
import { redirect, withParameters } from '../http/redirect';
import { formPostPage } from '../pages/form-post';
import { signJwt } from '../tokens/jwt';
import type { SigningKeys } from '../tokens/signing-keys';
import type { RedirectTarget } from './authorization-request';

type ResponseParameters = Readonly<Record<string, string | undefined>>;

/** Sends the answer of the authorization endpoint to the client, in the mode that it asked for. */
export type AuthorizationResponse = (
  res: Response,
  target: RedirectTarget,
  parameters: ResponseParameters,
  options?: { seeOther: boolean },
) => void;

/** Seconds; JARM §2.1 advises ten minutes at most. */
const RESPONSE_LIFETIME = 600;

/** @see RFC 6749 §4.1.2, RFC 9207 §2, OAuth 2.0 Form Post Response Mode, JARM §2 */
export function authorizationResponse(options: {
  issuer: string;
  signingKeys: SigningKeys;
  policies: Pick<Policies, 'idTokenAlgorithms'>;
  clock: () => number;
}): AuthorizationResponse {
  const { issuer, signingKeys, policies, clock } = options;

  function signed({ client }: RedirectTarget, parameters: ResponseParameters): ResponseParameters {
    const { authorizationSignedResponseAlg: alg } = client.metadata;
    const signer = signingKeys.signer(alg === undefined ? policies.idTokenAlgorithms(client) : [alg]);
    const iat = Math.floor(clock() / 1000);
    // What is undefined is not in JSON.
    const claims = { ...parameters, aud: client.clientId, iat, exp: iat + RESPONSE_LIFETIME };
    return { response: signJwt(claims, signer, 'JWT') };
  }

  return (res, target, given, options) => {
    const { redirectUri, responseMode, state } = target;
    const all = { ...given, state, iss: issuer };
    const parameters = responseMode.endsWith('jwt') ? signed(target, all) : all;
    if (responseMode.startsWith('form_post')) formPostPage(res, redirectUri, parameters);
    else redirect(res, withParameters(redirectUri, parameters), options);
  };
}
