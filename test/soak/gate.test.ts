import assert from 'node:assert/strict';
import { request } from 'node:http';
import { suite, test } from 'node:test';
import { LoopbackS3 } from '../support/loopback-s3.ts';
import { Gate } from './gate.ts';

async function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { method: 'HEAD', agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    asking.once('error', reject);
    asking.end();
  });
}

suite('the gate before a server', () => {
  test(
    'lets through, cuts off, and lets through again at the same place, often',
    { timeout: 20_000 },
    async () => {
      await using server = await LoopbackS3.start('bucket');
      await using gate = new Gate(Number(new URL(server.endpoint).port));
      await gate.open();
      const { endpoint } = gate;
      const warnings: Error[] = [];
      const onWarning = (warning: Error): void => void warnings.push(warning);
      process.on('warning', onWarning);
      for (let round = 0; round < 15; round++) {
        await gate.open();
        assert.equal(gate.endpoint, endpoint);
        assert.equal(await statusOf(`${endpoint}/bucket`), 200);
        await gate.close();
        await assert.rejects(statusOf(`${endpoint}/bucket`));
      }
      process.off('warning', onWarning);
      assert.deepEqual(warnings, []);
    },
  );
});
