import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPrivateHost, isThisMachine } from '../../src/base/private-host.ts';

describe('hosts', () => {
  it('of this machine are told from those of the same network', () => {
    for (const host of ['localhost', 'LOCALHOST', 'a.localhost', '127.0.0.9', '[::1]', '::1'])
      assert.ok(isThisMachine(host), host);
    for (const host of ['192.168.1.1', '10.0.0.1', '[fd00::1]', '0.0.0.0', 'localhost.example.com', 'minio'])
      assert.ok(!isThisMachine(host), host);
  });

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
