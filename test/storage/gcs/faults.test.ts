/** What Google Cloud Storage, and the network before it, may do to a call. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { PART_BYTES } from '../../../src/storage/gcs/resumable-upload.ts';
import { gather } from '../conformance.ts';
import { gcsScene } from './gcs-scene.ts';
import { failureOf } from '../../support/failure-of.ts';
import { until } from '../../support/until.ts';

const MIB = 1024 * 1024;
/** Three parts, the last one shorter. */
const LARGE = randomBytes(2 * PART_BYTES + 1_234_567);

describe('a streamed upload', () => {
  it('goes on where it was, whatever happens to a part', async () => {
    for (const fault of ['reset', 'half', 'lost', 'short', { status: 503 }, { status: 429 }] as const) {
      for (const kind of ['start', 'part'] as const) {
        await using scene = await gcsScene();
        scene.gcs.failNext(kind, fault, 2);
        const written = await scene.store.write('a/large', streamed(LARGE), { onlyIf: 'absent' });
        const label = `${kind} ${JSON.stringify(fault)}`;
        assert.equal(written.sizeBytes, LARGE.length, label);
        const sizeHintBytes = LARGE.length;
        const whole = await scene.store.readBytes('a/large', { sizeHintBytes });
        assert.ok(Buffer.from(whole).equals(LARGE), label);
        assert.deepEqual(await keysOf(scene.store), ['a/large'], label);
      }
    }
  });

  it('knows its object when only the last answer was lost', async () => {
    await using scene = await gcsScene();
    const lastPart = 3;
    let parts = 0;
    scene.gcs.fault = (call) => (call === 'part' && ++parts === lastPart ? 'lost' : undefined);
    const written = await scene.store.write('a/large', streamed(LARGE), { onlyIf: 'absent' });
    assert.equal(scene.gcs.objects.get('replicas/app/a/large')?.generation, Number(written.version));
  });

  it('ends exactly at the end of a part', async () => {
    for (const fault of [undefined, 'lost'] as const) {
      await using scene = await gcsScene();
      const bytes = LARGE.subarray(0, 2 * PART_BYTES);
      let parts = 0;
      scene.gcs.fault = (call) => (call === 'part' && ++parts === 3 ? fault : undefined);
      await scene.store.write('a/large', streamed(bytes));
      assert.ok(Buffer.from(await scene.store.readBytes('a/large')).equals(bytes));
    }
  });

  it('sends no more than a part at once', async () => {
    await using scene = await gcsScene();
    await scene.store.write('a/large', streamed(LARGE));
    assert.equal(scene.gcs.largestBodyBytes, PART_BYTES);
    assert.deepEqual(scene.tools.requests, ['PUT', 'PUT', 'PUT', 'PUT']);
  });

  it('cancels its session when it is given up', async () => {
    await using scene = await gcsScene();
    const failure = new Error('the source broke');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield LARGE.subarray(0, PART_BYTES + 1);
      while (!scene.gcs.calls.includes('part')) await new Promise((resolve) => setTimeout(resolve, 5));
      throw failure;
    }
    await assert.rejects(scene.store.write('a/large', broken()), (error) => error === failure);
    assert.equal(scene.gcs.calls.at(-1), 'cancel');
    assert.equal(scene.gcs.sessions.size, 0);
    assert.deepEqual(await keysOf(scene.store), []);
  });

  it('cancels its session when the server stays away, and says so', async () => {
    await using scene = await gcsScene({}, { attemptsMax: 3 });
    scene.gcs.fault = (call) => (call === 'part' ? { status: 503, retryAfter: '7' } : undefined);
    const error = await failureOf(scene.store.write('a/large', streamed(LARGE)));
    assert.match(error.message, /cannot write a part of a\/large to gcs:\/\/bucket\/replicas\/app: .*503/);
    assert.equal(error.details['retryAfterMs'], 7_000);
    assert.equal(scene.gcs.calls.at(-1), 'cancel');
    assert.deepEqual(await keysOf(scene.store), []);
  });

  it('is refused when somebody else creates the object meanwhile', async () => {
    await using scene = await gcsScene();
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield LARGE.subarray(0, PART_BYTES);
      while (!scene.gcs.calls.includes('part')) await new Promise((resolve) => setTimeout(resolve, 5));
      await scene.store.write('a/large', Buffer.from('faster'));
      yield LARGE.subarray(PART_BYTES);
    }
    await assert.rejects(scene.store.write('a/large', slow(), { onlyIf: 'absent' }), {
      code: 'STORAGE_EXISTS',
    });
    assert.equal(Buffer.from(await scene.store.readBytes('a/large')).toString(), 'faster');
  });

  it('removes an object that was damaged on its way', async () => {
    await using scene = await gcsScene();
    scene.gcs.fault = (call) => (call === 'part' ? 'damaged' : undefined);
    const error = await failureOf(scene.store.write('a/large', streamed(LARGE)));
    assert.match(error.message, /checksum/);
    assert.equal(error.details['retry'], true);
    assert.deepEqual(await keysOf(scene.store), []);
  });

  it('never shows the address of its session', async () => {
    await using scene = await gcsScene({}, { attemptsMax: 2 });
    scene.gcs.fault = (call) => (call === 'part' ? 'reset' : undefined);
    const error = await failureOf(scene.store.write('a/large', streamed(LARGE)));
    const shown = `${error.message} ${error.stack} ${JSON.stringify(error.details)} ${JSON.stringify(scene.tools.logger.lines)}`;
    assert.doesNotMatch(shown, /upload_id/);
  });

  it('stops a part that hangs when it is aborted', async () => {
    await using scene = await gcsScene();
    scene.gcs.fault = (call) => (call === 'part' ? 'hang' : undefined);
    const controller = new AbortController();
    const reason = new Error('enough');
    const writing = scene.store.write('a/large', streamed(LARGE), { signal: controller.signal });
    const failing = assert.rejects(writing, (error) => error === reason);
    await until('a part hangs', () => scene.gcs.calls.includes('part'));
    controller.abort(reason);
    await failing;
    assert.equal(scene.gcs.sessions.size, 0);
  });
});

describe('a short streamed upload', () => {
  it('is tried again, and knows its own work', async () => {
    for (const fault of ['reset', 'half', 'lost', { status: 503 }] as const) {
      await using scene = await gcsScene();
      scene.gcs.failNext('multipart', fault);
      await scene.store.write('a', streamed(Buffer.from('small')), { onlyIf: 'absent' });
      assert.equal(Buffer.from(await scene.store.readBytes('a')).toString(), 'small');
      assert.equal(scene.gcs.calls.filter((call) => call === 'multipart').length, 2);
    }
  });

  it("does not take another writer's object for its own", async () => {
    await using scene = await gcsScene();
    await scene.store.write('a', Buffer.from('other'));
    scene.gcs.failNext('multipart', 'reset');
    const writing = scene.store.write('a', streamed(Buffer.from('small')), { onlyIf: 'absent' });
    await assert.rejects(writing, { code: 'STORAGE_EXISTS' });
  });
});

describe('one attempt', () => {
  it('says what may pass', async () => {
    for (const fault of [
      'reset',
      { status: 503 },
      { status: 500 },
      { status: 429 },
      { status: 408 },
    ] as const) {
      for (const [kind, call] of calls()) {
        await using scene = await gcsScene();
        await scene.store.write('a', Buffer.from('x'));
        scene.gcs.calls.length = 0;
        scene.gcs.fault = (at) => (at === kind ? fault : undefined);
        const error = await failureOf(call(scene.store));
        const label = `${kind} ${JSON.stringify(fault)}`;
        assert.equal(error.code, 'STORAGE_FAILED', label);
        assert.equal(error.details['retry'], true, label);
        assert.deepEqual(scene.gcs.calls, [kind], `${label}: a whole call is made again elsewhere`);
      }
    }
  });

  it('knows a request for fewer requests, and how long to wait', async () => {
    const limits = [
      { status: 429, reason: 'rateLimitExceeded' },
      { status: 403, reason: 'rateLimitExceeded' },
      { status: 503, reason: 'backendError' },
    ];
    for (const limit of limits) {
      await using scene = await gcsScene();
      scene.gcs.failNext('list', { ...limit, retryAfter: '12' });
      const error = await failureOf(gather(scene.store.list('')));
      assert.equal(error.details['throttled'], true);
      assert.equal(error.details['retry'], true);
      assert.equal(error.details['retryAfterMs'], 12_000);
    }
  });

  it('says what is not allowed, in the words of the service', async () => {
    await using scene = await gcsScene();
    const message = 'backup@project.iam does not have storage.objects.list access.\nMore.';
    scene.gcs.failNext('list', { status: 403, reason: 'forbidden', message });
    const error = await failureOf(gather(scene.store.list('')));
    assert.equal(error.code, 'STORAGE_DENIED');
    assert.equal(
      error.message,
      'cannot list everything at gcs://bucket/replicas/app: forbidden (403): backup@project.iam does not have storage.objects.list access.',
    );
    assert.match(error.hint ?? '', /roles\/storage.objectUser/);
    assert.equal(error.details['retry'], false);
  });

  it('says that an object must stay for a while', async () => {
    await using scene = await gcsScene();
    scene.gcs.failNext('remove', { status: 403, reason: 'retentionPolicyNotMet', message: 'locked' });
    const error = await failureOf(scene.store.remove(['a']));
    assert.equal(error.code, 'STORAGE_DENIED');
    assert.match(error.hint ?? '', /keeps objects/);
  });

  it('never takes a missing bucket for an empty one', async () => {
    await using scene = await gcsScene({ bucket: 'missing' });
    for (const call of [...calls().values(), async (store) => store.write('l', streamed(LARGE))] as Call[]) {
      const error = await failureOf(call(scene.store));
      assert.equal(error.code, 'STORAGE_DENIED');
      assert.match(error.message, /bucket does not exist/);
      assert.match(error.hint ?? '', /Create the bucket/);
      assert.equal(error.details['retry'], false);
    }
  });

  it('fails where a listing finds nothing at all at that address', async () => {
    await using scene = await gcsScene();
    scene.gcs.failNext('list', { status: 404, reason: 'x', message: 'y' });
    const error = await failureOf(gather(scene.store.list('')));
    assert.equal(error.code, 'STORAGE_FAILED');
  });

  it('tries every removal and then says what failed', async () => {
    await using scene = await gcsScene();
    const keys = Array.from({ length: 40 }, (_, i) => `a/${i}`);
    for (const key of keys) await scene.store.write(key, Buffer.from('x'));
    scene.gcs.fault = (call, url) =>
      call === 'remove' && url.pathname.endsWith('%2F7') ? { status: 503 } : undefined;
    const error = await failureOf(scene.store.remove(keys));
    assert.match(error.message, /cannot remove a\/7/);
    assert.deepEqual(await keysOf(scene.store), ['a/7']);
  });
});

describe('a download', () => {
  it('never ends early without saying so', async () => {
    await using scene = await gcsScene();
    await scene.store.write('a', LARGE);
    scene.gcs.failNext('media', 'half', 2);
    const got: Uint8Array[] = [];
    const reading = async (): Promise<void> => {
      for await (const chunk of scene.store.read('a')) got.push(chunk);
    };
    const error = await failureOf(reading());
    assert.equal(error.details['retry'], true);
    const bytes = Buffer.concat(got);
    assert.ok(bytes.length > 0 && bytes.equals(LARGE.subarray(0, bytes.length)));
    await assert.rejects(scene.store.readBytes('a'), { code: 'STORAGE_FAILED' });
  });

  it('reads a version and its bytes together, also while they are replaced', async () => {
    await using scene = await gcsScene();
    await scene.store.write('a', Buffer.from('0'));
    let left = 3;
    scene.gcs.fault = (call) => {
      if (call === 'media' && left-- > 0) {
        const [name, stored] = [...scene.gcs.objects][0]!;
        const generation = stored.generation + 1;
        scene.gcs.objects.set(name, { ...stored, bytes: Buffer.from(String(generation)), generation });
      }
      return undefined;
    };
    const { bytes, version } = await scene.store.readVersioned('a');
    assert.equal(Buffer.from(bytes).toString(), version);
  });
});

describe('a listing', () => {
  it('goes on after a page without anything', async () => {
    await using scene = await gcsScene();
    for (const key of ['a/1', 'a/2', 'b/3']) await scene.store.write(key, Buffer.from('x'));
    scene.gcs.pageSize = 1;
    scene.gcs.fault = (call) => (call === 'list' ? 'short' : undefined);
    assert.deepEqual(await keysOf(scene.store), ['a/1', 'a/2', 'b/3']);
    assert.deepEqual(await scene.store.listFolders(''), ['a', 'b']);
    assert.deepEqual(new Set(scene.tools.requests.slice(3)), new Set(['LIST']));
  });

  it('passes over what consoles make to show a folder', async () => {
    await using scene = await gcsScene();
    await scene.store.write('a/1', Buffer.from('x'));
    const [stored] = scene.gcs.objects.values();
    scene.gcs.objects.set('replicas/app/', stored!);
    scene.gcs.objects.set('replicas/app/a/', stored!);
    assert.deepEqual(await keysOf(scene.store), ['a/1']);
    assert.deepEqual(await scene.store.listFolders(''), ['a']);
  });
});

it('streams with bounded memory', async () => {
  await using scene = await gcsScene();
  let peakBytes = 0;
  const sizeMiB = 128;
  const hash = createHash('sha256');
  async function* body(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < sizeMiB; i++) {
      const chunk = Buffer.alloc(MIB, i);
      hash.update(chunk);
      yield chunk;
      const kept = [...scene.gcs.sessions.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers - kept);
    }
  }
  const beforeBytes = process.memoryUsage().arrayBuffers;
  await scene.store.write('large', body());
  const grownMiB = Math.round((peakBytes - beforeBytes) / MIB);
  assert.ok(grownMiB < 96, `${grownMiB} MiB`);
  const read = createHash('sha256');
  for await (const chunk of scene.store.read('large')) read.update(chunk);
  assert.equal(read.digest('hex'), hash.digest('hex'));
});

type Store = Awaited<ReturnType<typeof gcsScene>>['store'];
type Call = (store: Store) => Promise<unknown>;

/** One call for each kind of request. */
function calls(): Map<string, Call> {
  return new Map<string, Call>([
    ['list', async (store) => gather(store.list(''))],
    ['describe', async (store) => store.readVersioned('a')],
    ['media', async (store) => store.readBytes('a')],
    ['multipart', async (store) => store.write('b', Buffer.from('x'))],
    ['remove', async (store) => store.remove(['a'])],
  ]);
}

async function keysOf(store: Store): Promise<string[]> {
  return (await gather(store.list(''))).map(({ key }) => key).sort();
}

async function* streamed(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += 300_007) yield bytes.subarray(at, at + 300_007);
}
