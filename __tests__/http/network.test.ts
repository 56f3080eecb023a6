import net from 'node:net';
import type { AddressInfo } from 'node:net';

import express from 'express';

import { networkOf, networkOfSender, type NetworkOfSender } from '../../lib/http/network';

describe('the network of an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2'],
    ['::ffff:192.0.2.77', '192.0.2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:DB8:0000:0:1:2:3:4', '2001:db8:0:0'],
    ['2001:db8:1:2::', '2001:db8:1:2'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['::ffff:c000:24d', '192.0.2'],
    ['0:0:0:0:0:ffff:192.0.2.77', '192.0.2'],
    ['64:ff9b::192.0.2.77', '192.0.2'],
    ['::1', '0:0:0:0'],
    ['unknown', 'unknown'],
    [undefined, ''],
  ])('%s is in %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

it('the network of a sender is known after it has hung up', async () => {
  const app = express();
  const server = app.listen(0, '127.0.0.1');
  const seen = new Promise<NetworkOfSender>((resolve) => {
    app.use((req) => {
      const network = networkOfSender(req);
      req.socket.once('close', () => resolve(network));
      socket.destroy();
    });
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  expect((await seen)()).toBe('127.0.0');
  server.close();
});
