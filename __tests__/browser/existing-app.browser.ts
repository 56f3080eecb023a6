import express from 'express';
import type { Browser, BrowserContext, Page } from 'playwright-core';

import { createApp } from '../../examples/existing-app';
import { pkce } from '../support/host';
import { launchChromium } from './chromium';
import { serve } from './serve';

/** The most common host: helmet's defaults, a session, and a login form. `form-action 'self'` covers the redirects after a form. */
describe('the login page of a host with helmet, in a browser', () => {
  const closers: (() => unknown)[] = [];
  let browser: Browser;
  let context: BrowserContext;
  let host: string;
  let app: string;

  beforeAll(async () => {
    browser = await launchChromium();
    const spa = express().use((_req, res) => {
      res.send(`<!doctype html><title>App</title><script>
if (opener) opener.postMessage(location.search, '*');
addEventListener('message', ({ data }) => { document.body.dataset.received = data; });
</script><body></body>`);
    });
    app = `http://app.example.test:${await serve(spa, closers)}`;
    const shell = express();
    host = `http://localhost:${await serve(shell, closers)}`;
    shell.use(createApp(host, `${app}/callback`));
  });
  afterAll(async () => {
    await browser.close();
    closers.forEach((close) => close());
  });
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(() => context.close());

  const authorizeUrl = (more: Record<string, string> = {}): string => {
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: 'dashboard',
      redirect_uri: `${app}/callback`,
      state: 'xyz',
      code_challenge: pkce().challenge,
      code_challenge_method: 'S256',
      ...more,
    });
    return `${host}/api/v1/auth/oauth/authorize?${query.toString()}`;
  };

  async function signIn(page: Page): Promise<void> {
    await page.fill('[name=email]', 'alice@example.com');
    await page.fill('[name=password]', 'wonderland');
    await page.click('button');
  }

  it.each([
    ['a redirect', {}],
    ['form_post', { response_mode: 'form_post' }],
    ['JARM', { response_mode: 'jwt' }],
  ])('a first-party client gets its answer after the form, by %s, twice', async (_mode, more) => {
    const page = await context.newPage();
    const policy = await page.goto(`${host}/login`);
    expect(policy!.headers()['content-security-policy']).toContain("form-action 'self'");
    await page.goto(authorizeUrl(more));
    await signIn(page);
    await page.waitForURL(`${app}/callback**`);
    // Signed out at the host: the form is shown again.
    await context.clearCookies();
    await page.goto(authorizeUrl(more));
    await signIn(page);
    await page.waitForURL(`${app}/callback**`);
    // And without the form, while the session lasts.
    await page.goto(authorizeUrl(more));
    await page.waitForURL(`${app}/callback**`);
  });

  it('a custom scheme is reached, without script', async () => {
    const plain = await browser.newContext({ javaScriptEnabled: false });
    const page = await plain.newPage();
    await page.goto(authorizeUrl({ client_id: 'mobile', redirect_uri: 'com.example.mobile:/callback' }));
    await signIn(page);
    // Another app could have claimed the scheme: the user is asked, on a page of the router.
    const left = page.waitForRequest((request) => request.url().endsWith('/consent'));
    await page.click('button[value=allow]');
    const answer = await (await left).response();
    expect(await answer!.headerValue('location')).toMatch(/^com\.example\.mobile:\/callback\?code=/);
    await plain.close();
  });

  it('in a popup, the app that opened it hears of it', async () => {
    const opener = await context.newPage();
    await opener.goto(app);
    const [popup] = await Promise.all([
      context.waitForEvent('page'),
      opener.evaluate(`void open('${authorizeUrl()}', 'login', 'width=400,height=600')`),
    ]);
    await popup.waitForSelector('[name=email]');
    await signIn(popup);
    await opener.waitForFunction('document.body.dataset.received !== undefined');
    expect(await opener.evaluate('document.body.dataset.received')).toMatch(/^\?code=.*state=xyz/);
  });
});
