import { createEventLog } from '../lib/event-log';
import { createEventReporter } from '../lib/event-reporter';

describe('events that nothing listens to', () => {
  const { NODE_ENV } = process.env;
  let written: jest.SpyInstance;
  beforeEach(() => {
    process.env.NODE_ENV = 'production';
    written = jest.spyOn(console, 'error').mockReturnValue(undefined);
  });
  afterEach(() => {
    process.env.NODE_ENV = NODE_ENV;
    written.mockRestore();
  });

  it('failures are written to stderr, and nothing else is', () => {
    const { emit } = createEventReporter(createEventLog({ logger: undefined, development: false }));
    // Like errors of drivers and HTTP clients, whose other members contain credentials.
    const cause = Object.assign(new Error('no session'), { config: { token: 'a secret' } });
    emit('server.failed', { endpoint: 'authorize', cause });
    emit('store.failed', { operation: 'getGrant', cause: 'down' });
    emit('consent.denied', { clientId: 'web' });
    expect(written.mock.calls).toEqual([
      [`express-oauth-router: server.failed (authorize)\n${cause.stack!}`],
      ['express-oauth-router: store.failed (getGrant)\ndown'],
    ]);
  });

  it('a listener replaces that', () => {
    const { emit, events } = createEventReporter(createEventLog({ logger: undefined, development: false }));
    const heard: unknown[] = [];
    events.on('store.failed', (event) => heard.push(event));
    emit('store.failed', { operation: 'getGrant', cause: new Error('down') });
    expect([heard.length, written.mock.calls.length]).toEqual([1, 0]);
  });
});
