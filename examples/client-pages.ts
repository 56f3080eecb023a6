/** A client of the quick start: it runs the flow with oauth4webapi, and shows the tokens. */
import { Router, urlencoded, type Request } from 'express';
import session from 'express-session';
import * as oauth from 'oauth4webapi';

interface Flow {
  verifier: string;
  state: string;
}

interface Tokens {
  accessToken: string;
  refreshToken: string | undefined;
}

/** The client has its own session for each browser. */
declare module 'express-session' {
  interface SessionData {
    flow: Flow;
    tokens: Tokens;
  }
}

const client: oauth.Client = { client_id: 'demo' };
const authentication = oauth.None();
// On loopback only: elsewhere a client requires https.
const insecure = { [oauth.allowInsecureRequests]: true };

export function clientPages(origin: string): Router {
  const router = Router();
  router.use(session({ name: 'app', secret: 'of this client', resave: false, saveUninitialized: false }));
  const redirectUri = `${origin}/app/callback`;
  let discovered: oauth.AuthorizationServer | undefined;

  async function server(): Promise<oauth.AuthorizationServer> {
    const issuer = new URL(`${origin}/oauth`);
    discovered ??= await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
    );
    return discovered;
  }

  router.get('/', (req, res) => {
    const { tokens } = req.session;
    res.send(
      tokens
        ? tokensPage(tokens)
        : page('<form action="/app/start"><button>Sign in with Acme Orders</button></form>'),
    );
  });

  router.get('/start', async (req, res) => {
    const { authorization_endpoint: endpoint = '' } = await server();
    const verifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    req.session.flow = { verifier, state };
    const url = new URL(endpoint);
    url.search = new URLSearchParams({
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'profile orders:read',
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }).toString();
    res.redirect(url.href);
  });

  router.get('/callback', async (req, res) => {
    const { flow } = req.session;
    if (!flow) return res.redirect('/app');
    // Used once: a page that is loaded again must not redeem its code again.
    delete req.session.flow;
    const as = await server();
    try {
      const parameters = oauth.validateAuthResponse(as, client, new URL(req.originalUrl, origin), flow.state);
      const response = await oauth.authorizationCodeGrantRequest(
        as,
        client,
        authentication,
        parameters,
        redirectUri,
        flow.verifier,
        insecure,
      );
      keep(req, await oauth.processAuthorizationCodeResponse(as, client, response));
      res.redirect('/app');
    } catch (error) {
      const reason = error instanceof oauth.AuthorizationResponseError ? error.error : String(error);
      res.send(page(`<p>The response was: ${escape(reason)}</p><p><a href="/app">Start again</a></p>`));
    }
  });

  router.post('/act', urlencoded(), async (req, res) => {
    const { tokens } = req.session;
    if (!tokens) return res.redirect('/app');
    const { action } = req.body as { action?: string };
    res.send(await act(req, tokens, action));
  });

  async function act(req: Request, tokens: Tokens, action: string | undefined): Promise<string> {
    const as = await server();
    if (action === 'call') {
      const url = new URL('/orders', origin);
      const response = await oauth
        .protectedResourceRequest(tokens.accessToken, 'GET', url, undefined, undefined, insecure)
        .catch((error: unknown) =>
          error instanceof oauth.WWWAuthenticateChallengeError
            ? error.response
            : Promise.reject(error as Error),
        );
      return tokensPage(tokens, `GET /orders answered ${response.status}`, await response.text());
    }
    if (action === 'refresh') return refresh(req, as, tokens);
    const response = await oauth.revocationRequest(
      as,
      client,
      authentication,
      tokens.refreshToken ?? '',
      insecure,
    );
    await oauth.processRevocationResponse(response);
    return tokensPage(tokens, 'Revoked: now call the API, or refresh');
  }

  async function refresh(req: Request, as: oauth.AuthorizationServer, tokens: Tokens): Promise<string> {
    const response = await oauth.refreshTokenGrantRequest(
      as,
      client,
      authentication,
      tokens.refreshToken ?? '',
      insecure,
    );
    try {
      const refreshed = await oauth.processRefreshTokenResponse(as, client, response);
      return tokensPage(keep(req, refreshed), 'Refreshed');
    } catch (error) {
      // After a revocation, for example.
      if (!(error instanceof oauth.ResponseBodyError)) throw error;
      return tokensPage(tokens, `The refresh was refused: ${error.error}`, error.error_description);
    }
  }

  /** Ends the session of the client, and then that of the host. */
  router.post('/sign-out', (req, res, next) => {
    req.session.destroy((error) => (error ? next(error) : res.redirect(307, '/logout')));
  });

  return router;
}

function keep(req: Request, response: oauth.TokenEndpointResponse): Tokens {
  req.session.tokens = { accessToken: response.access_token, refreshToken: response.refresh_token };
  return req.session.tokens;
}

function tokensPage({ accessToken, refreshToken = 'none' }: Tokens, title = 'Signed in', text = ''): string {
  const [header = '', payload = ''] = accessToken
    .split('.')
    .map((part) => Buffer.from(part, 'base64url').toString());
  const shown = [header, payload].map((json) => JSON.stringify(JSON.parse(json), undefined, 2)).join('\n');
  const buttons = [
    ['call', 'Call the API'],
    ['refresh', 'Refresh'],
    ['revoke', 'Revoke'],
  ].map(([value, label]) => `<button name="action" value="${value}">${label}</button>`);
  return page(`<h2>${escape(title)}</h2>${text ? `<pre>${escape(text)}</pre>` : ''}
<form method="post" action="/app/act">${buttons.join(' ')}</form>
<h3>Access token</h3><pre>${escape(shown)}</pre>
<h3>Refresh token</h3><pre>${escape(refreshToken)}</pre>
<form method="post" action="/app/sign-out"><button>Sign out</button></form>`);
}

function page(body: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Demo app</title><style>body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}
pre{background:#f3f4f7;padding:1rem;overflow:auto;border-radius:.5rem}button{font:inherit;padding:.5rem 1rem}</style>
<h1>Demo app</h1>${body}</html>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
