import { networkOf } from '../../lib/http/network';

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
