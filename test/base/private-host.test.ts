import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPrivateHost } from '../../src/base/private-host.ts';

describe('hosts', () => {
  it('of this machine and of private networks are told from others', () => {
    for (const host of [
      'localhost',
      'LOCALHOST',
      'a.localhost',
      '127.0.0.9',
      '192.168.1.1',
      '172.31.0.1',
      '[fd00::1]',
      '::1',
    ])
      assert.ok(isPrivateHost(host), host);
    for (const host of ['example.com', '172.32.0.1', '11.0.0.1', '2001:db8::1', 'localhost.example.com'])
      assert.ok(!isPrivateHost(host), host);
  });
});
