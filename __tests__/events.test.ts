import { createEventReporter } from '../lib/events';

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
    const { emit } = createEventReporter();
    const event = { endpoint: 'authorize', cause: new Error('no session') };
    emit('server.failed', event);
    emit('consent.denied', { clientId: 'web' });
    expect(written.mock.calls).toEqual([['express-oauth-router: server.failed', event]]);
  });

  it('a listener replaces that', () => {
    const { emit, events } = createEventReporter();
    const heard: unknown[] = [];
    events.on('store.failed', (event) => heard.push(event));
    emit('store.failed', { operation: 'getGrant', cause: new Error('down') });
    expect([heard.length, written.mock.calls.length]).toEqual([1, 0]);
  });
});
