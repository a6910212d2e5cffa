import assert from 'node:assert/strict';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { it } from 'node:test';
import { networkFailureOf } from '../../src/storage/network-failure.ts';

function coded(code: string, cause?: unknown): Error {
  return Object.assign(new Error('failed', { cause }), { code });
}

it('tells what passes from what people must change', () => {
  for (const code of ['ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'ECONNREFUSED', 'EPIPE']) {
    assert.equal(networkFailureOf(coded(code))?.retry, true, code);
  }
  for (const code of ['CERT_HAS_EXPIRED', 'SELF_SIGNED_CERT_IN_CHAIN', 'ERR_TLS_CERT_ALTNAME_INVALID']) {
    const failure = networkFailureOf(coded(code));
    assert.equal(failure?.retry, false, code);
    assert.match(failure.hint ?? '', /`ca-file` or in SSL_CERT_FILE/);
  }
  assert.match(networkFailureOf(coded('ENOTFOUND'))?.hint ?? '', /DNS/);
});

it('looks into what clients wrap', () => {
  assert.equal(networkFailureOf(coded('REQUEST_SEND_ERROR', coded('ECONNRESET')))?.systemCode, 'ECONNRESET');
  assert.equal(
    networkFailureOf(new TypeError('fetch failed', { cause: coded('ENOTFOUND') }))?.systemCode,
    'ENOTFOUND',
  );
  const both = new AggregateError([coded('ECONNREFUSED'), coded('ENETUNREACH')]);
  assert.equal(networkFailureOf(both)?.systemCode, 'ECONNREFUSED');
});

it('says nothing of other failures', () => {
  for (const error of [new Error('x'), coded('ENOENT'), undefined, 'text', coded('ERR_INVALID_ARG_TYPE')]) {
    assert.equal(networkFailureOf(error), undefined);
  }
});

it('knows what Node.js really throws', async () => {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const error = await fetch(`http://127.0.0.1:${port}/`).catch((failure: unknown) => failure);
  assert.equal(networkFailureOf(error)?.systemCode, 'ECONNREFUSED');
});
