import type { Request, RequestHandler } from 'express';

import { OAuthError } from '../errors';
import { callHostWith, type Awaitable } from '../host/call';
import { jsonBody } from '../http/body';
import { createEndpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseSecrets } from '../http/parameters';
import { presentedToken } from '../resource/presented-token';
import type { ClientInformation } from './information';
import type { Register } from './register';

/** Accepts an initial access token, or refuses it (RFC 7591 §3). The host has issued it to a developer. */
export type VerifyInitialAccessToken = (token: string, req: Request) => Awaitable<boolean>;

interface RegistrationEndpointOptions {
  register: Register;
  clientInformation: ClientInformation;
  isOpen: boolean;
  verifyInitialAccessToken: VerifyInitialAccessToken | undefined;
  frame: EndpointFrame;
}

/** `POST /register`: a client registers itself. @see RFC 7591 §3 */
export function createRegistrationEndpoint(options: RegistrationEndpointOptions): RequestHandler {
  const { register, clientInformation, isOpen, verifyInitialAccessToken, frame } = options;

  return createEndpoint(
    frame,
    { name: 'register', methods: ['POST'], cors: true },
    async function registerClient(req, res, event) {
      refuseSecrets(queryParameters(req.url));
      const hasInitialAccessToken = await isVouchedFor(req);
      const registered = await register(req, await jsonBody(req), hasInitialAccessToken);
      event.clientId = registered.client.clientId;
      sendJson(res, clientInformation(registered), 201);
    },
  );

  /** Whether a request has an initial access token. @throws OAuthError `invalid_token` if it is needed, or is refused */
  async function isVouchedFor(req: Request): Promise<boolean> {
    const { scheme, token } = presentedToken(req) ?? {};
    if (token !== undefined && token !== '' && scheme === 'Bearer' && verifyInitialAccessToken) {
      const isAccepted: unknown = await callHostWith([token], () => verifyInitialAccessToken(token, req));
      if (isAccepted === true) return true;
      throw refused('The initial access token is refused', 'error="invalid_token"');
    }
    if (!isOpen) throw refused('Registration needs an initial access token');
    return false;
  }
}

function refused(description: string, attributes = ''): OAuthError {
  return new OAuthError('invalid_token', description, { challenge: `Bearer ${attributes}`.trim() });
}
