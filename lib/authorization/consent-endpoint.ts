import type { RequestHandler } from 'express';

import { invalidRequest } from '../errors';
import { formParameters } from '../http/body';
import { createEndpoint, type EndpointFrame, type RespondError } from '../http/endpoint';
import { required } from '../http/parameters';
import type { SealedJson } from '../tokens/sealed-json';
import type { Authorize } from './authorize';
import type { ConsentForm } from './consent-question';
import type { Resuming } from './resuming';

interface ConsentEndpointOptions {
  authorize: Authorize;
  consentForms: SealedJson<ConsentForm>;
  resuming: Resuming;
  frame: EndpointFrame;
  respondError: RespondError;
}

/** The maximum length of the form, which contains the sealed request with its whole scope. Characters. */
const MAXIMUM_FORM_LENGTH = 65_536;

/** `POST /consent`: receives the form of the consent page. The whole request is checked again. */
export function createConsentEndpoint(options: ConsentEndpointOptions): RequestHandler {
  const { authorize, consentForms, resuming, frame, respondError } = options;

  return createEndpoint(
    frame,
    { name: 'consent', methods: ['POST'], respond: respondError },
    async function consent(req, res) {
      const parameters = await formParameters(req, { maximumLength: MAXIMUM_FORM_LENGTH });
      const form = consentForms.open(required(parameters, 'request'));
      if (!form) throw invalidRequest('This page was open for too long');
      const answer = required(parameters, 'decision');
      if (answer !== 'allow' && answer !== 'deny') throw invalidRequest('decision is unknown');

      const { userId, browserId, scope, redirectUri } = form;
      const decision = { userId, browserId, scope, redirectUri, allowed: answer === 'allow' };
      const pending = await resuming.restore(form);
      await authorize(req, res, { ...pending, kind: 'decided', endpoint: 'authorize', decision });
    },
  );
}
