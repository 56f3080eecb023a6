import OAuth2Server, { AbstractGrantType, Request, Response } from '@node-oauth/oauth2-server';

class CarrierRequest extends Request {
  readonly carrier = 'ours';

  override is(): string {
    return 'application/x-www-form-urlencoded';
  }
}

/** What lib/engine.ts leans on: an update of the engine that changes one of these fails here first. */
describe('the extension points of @node-oauth/oauth2-server', () => {
  const model = {
    getClient: (id: string) => Promise.resolve({ id, grants: ['authorization_code', 'urn:x:y'] }),
    saveToken: () => Promise.reject(new Error('not used')),
    getAccessToken: () => Promise.reject(new Error('not used')),
  };
  const token = (
    handle: (request: { carrier: unknown }) => Promise<object>,
    grantType = 'urn:x:y',
  ): { answer: Promise<unknown>; response: Response } => {
    class Grant extends AbstractGrantType {
      override handle(request: Request): Promise<OAuth2Server.Token> {
        return handle(request as never) as Promise<OAuth2Server.Token>;
      }
    }
    const server = new OAuth2Server({
      model,
      extendedGrantTypes: { [grantType]: Grant },
      requireClientAuthentication: { [grantType]: false },
      allowExtendedTokenAttributes: true,
    });
    const request = new CarrierRequest({
      method: 'POST',
      headers: {},
      query: {},
      body: { grant_type: grantType, client_id: 'a' },
    });
    const response = new Response({});
    return { answer: server.token(request, response), response };
  };
  const tokens = {
    accessToken: 'at',
    scope: ['a', 'b'],
    expires_in: 3600,
    client: { id: 'a', grants: [] },
    user: {},
  };

  it('a grant of ours takes the place of a built-in one, and needs no client secret', async () => {
    const { answer } = token(() => Promise.resolve(tokens), 'authorization_code');
    await expect(answer).resolves.toBeDefined();
  });

  it('a request of our own class, without headers, reaches the grant', async () => {
    let seen: unknown;
    await token((request) => {
      seen = request.carrier;
      return Promise.resolve(tokens);
    }).answer;
    expect(seen).toBe('ours');
  });

  it('the lifetime is what we say, as an extended attribute, and the scope is joined', async () => {
    const { answer, response } = token(() => Promise.resolve(tokens));
    await answer;
    expect(response.body).toEqual({
      access_token: 'at',
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'a b',
    });
    const empty = token(() => Promise.resolve({ ...tokens, scope: [] }));
    await empty.answer;
    expect(empty.response.body).toMatchObject({ scope: '' });
  });

  it('what a grant throws comes back as `inner`', async () => {
    const error = new Error('ours');
    await expect(token(() => Promise.reject(error)).answer).rejects.toMatchObject({ inner: error });
  });
});
