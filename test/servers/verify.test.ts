/**
 * The proof that a destination restores, on real servers: a running process that finds every kind of damage within one
 * interval, tells of it once, heals it and proves that; retention and outages that are no damage; and the command.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT_BROKEN, EXIT_INCONCLUSIVE, EXIT_OK } from '../../src/cli/exit-codes.ts';
import { ageOf, newKeyPair } from '../support/age-keys.ts';
import { contentsOf } from '../compat/support/contents.ts';
import { type Place, PLACES } from './verify/places.ts';
import { ProofScene } from './verify/scene.ts';

const INTERVAL_MS = 1_000;
/** Between two looks of the command at a replica of which retention removes something all the time. */
const LOOK_MS = 500;
/** Two looks half a second apart, requests, and other work on this machine. */
const SLACK_MS = 15_000;

const own = await newKeyPair();
const somebody = await newKeyPair();

const OFTEN = { verify: { 'quick-interval': `${INTERVAL_MS}ms`, interval: 0 } };
const ENCRYPTED = { ...OFTEN, age: { recipients: [own.recipient], identities: [own.identity] } };
/** Snapshots, their removal and both kinds of proof all the time, across one another. */
const RACING = {
  'snapshot-interval': '400ms',
  retention: '1s',
  'retention-check-interval': '100ms',
  verify: { 'quick-interval': '150ms', interval: '500ms' },
};

interface Fault {
  readonly keys?: object;
  /** Does the damage and answers the key that is to be named. */
  readonly damage: (place: Place, name: string, segments: readonly string[]) => Promise<string>;
}

const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, i) => (i === at ? byte ^ 8 : byte));

const FAULTS: Readonly<Record<string, Fault>> = {
  deleted: {
    damage: async (place, name, segments) => {
      const key = segments.at(-2) ?? '';
      await place.remove(name, key);
      return key;
    },
  },
  'last-deleted': {
    damage: async (place, name, segments) => {
      const key = segments.at(-1) ?? '';
      await place.remove(name, key);
      return key;
    },
  },
  truncated: {
    damage: async (place, name, segments) => {
      const key = segments.at(-2) ?? '';
      const bytes = await place.read(name, key);
      await place.write(name, key, bytes.slice(0, bytes.length >>> 1));
      return key;
    },
  },
  flipped: {
    damage: async (place, name, segments) => {
      const key = segments.at(-2) ?? '';
      const bytes = await place.read(name, key);
      await place.write(name, key, flipped(bytes, bytes.length >>> 1));
      return key;
    },
  },
  'flipped-snapshot': {
    damage: async (place, name) => {
      const key = (await place.keys(name)).findLast((one) => one.includes('/snapshots/')) ?? '';
      const bytes = await place.read(name, key);
      await place.write(name, key, flipped(bytes, bytes.length >>> 1));
      return key;
    },
  },
  older: {
    damage: async (place, name, segments) => {
      const [before = '', key = ''] = segments.slice(-3);
      await place.write(name, key, await place.read(name, before));
      return key;
    },
  },
  'wrong-key': {
    keys: ENCRYPTED,
    damage: async (place, name, segments) => {
      const key = segments.at(-2) ?? '';
      const other = await ageOf({ recipients: [somebody.recipient] });
      await place.write(name, key, await other.encryptBytes(new Uint8Array(700)));
      return key;
    },
  },
  'no-snapshot': {
    damage: async (place, name) => {
      const keys = (await place.keys(name)).filter((one) => one.includes('/snapshots/'));
      for (const key of keys) await place.remove(name, key);
      return keys.at(-1) ?? '';
    },
  },
};

const NAMES = Object.keys(FAULTS);

/** Each has a snapshot and some segments, all of it proven. */
async function allProven(scene: ProofScene): Promise<void> {
  await scene.until('it answers', async () => (await scene.status()) !== undefined);
  for (let round = 0; round < 5; round += 1) {
    for (const name of NAMES) scene.write(name);
    for (const name of NAMES) await scene.level(name);
  }
  for (const name of NAMES) await scene.proven(name);
}

// Mostly they wait for their intervals.
describe('proofs on real servers', { concurrency: true }, () => {
  for (const { name: server, skip, begin } of PLACES) {
    it(
      `${server}: damage is found within an interval, told once, healed and proven; neither retention nor an outage is damage`,
      { skip },
      async (t) => {
        await using place = await begin();
        const databases = Object.fromEntries(NAMES.map((name) => [name, FAULTS[name]?.keys ?? OFTEN]));
        await using scene = new ProofScene(place, { ...databases, race: RACING, calm: OFTEN });
        await scene.until('it answers', async () => (await scene.status()) !== undefined);
        const racing = race(scene);
        try {
          await allProven(scene);
          t.diagnostic(await damageAll(scene));
          await healedAll(scene);
          await commandsOn(scene);
        } finally {
          racing.end();
        }
        t.diagnostic(await racing.judged);
        await outage(scene);
      },
    );
  }
});

// ---- damage --------------------------------------------------------------------------------------------------------

/** Answers how long each took to be told. */
async function damageAll(scene: ProofScene): Promise<string> {
  const told: string[] = [];
  const damaged: { name: string; key: string; atMs: number }[] = [];
  for (const [name, { damage }] of Object.entries(FAULTS)) {
    const key = await damage(scene.place, name, await scene.segments(name));
    assert.notEqual(key, '', name);
    scene.write(name);
    damaged.push({ name, key, atMs: Date.now() });
  }
  for (const { name, key, atMs } of damaged) {
    await scene.until(`${name} is told`, () => scene.errorsOf(name).length > 0);
    const [line] = scene.errorsOf(name);
    assert.ok(JSON.stringify(line).includes(key), `${name}: ${key} is not in ${JSON.stringify(line)}`);
    const tookMs = Date.parse(line?.time ?? '') - atMs;
    assert.ok(tookMs < INTERVAL_MS + SLACK_MS, `${name} took ${tookMs} ms`);
    told.push(`${name} ${tookMs} ms`);
  }
  return `told after: ${told.join(', ')}`;
}

/** Each got a fresh snapshot, which is proven, and restores to what the database holds. */
async function healedAll(scene: ProofScene): Promise<void> {
  for (const name of NAMES) {
    await scene.proven(name);
    assert.equal(scene.errorsOf(name).length, 1, name);
    scene.write(name);
    await scene.level(name);
  }
  for (const name of ['no-snapshot', 'wrong-key']) {
    const { code, out, err } = await scene.verify(name, '-full', '-temporary-path', scene.scratch.path);
    assert.equal(code, EXIT_OK, out + err);
  }
  const answer = await scene.status();
  assert.deepEqual(answer?.reasons, []);
}

// ---- a retention that runs meanwhile -------------------------------------------------------------------------------

/** Writes without a pause, while the command looks as well. */
function race(scene: ProofScene): { end(): void; judged: Promise<string> } {
  const over = new AbortController();
  const outcomes: (number | null)[] = [];
  const writing = (async () => {
    while (!over.signal.aborted) {
      scene.write('race', 3);
      await delay(30);
    }
  })();
  const looking = (async () => {
    await scene.proven('race');
    while (!over.signal.aborted) {
      const { code, out, err } = await scene.verify('race', '-all');
      // What leaves the window during a look is neither.
      assert.ok(code === EXIT_OK || code === EXIT_INCONCLUSIVE, out + err);
      outcomes.push(code);
      await delay(LOOK_MS);
    }
  })();
  const judged = Promise.all([writing, looking]).then(async () => {
    assert.deepEqual(scene.errorsOf('race'), []);
    const path = scene.pathOf('race');
    const said = (text: string): number =>
      scene.lines.filter(({ db, msg }) => db === path && msg.startsWith(text)).length;
    assert.ok(said('removed what is older than the retention') >= 3, 'no retention');
    assert.ok(said('restorable until') >= 3, 'no proofs');
    assert.ok(outcomes.includes(EXIT_OK), 'the command has proven nothing');
    return `${said('removed')} removals, ${said('restorable until')} full proofs, the command: ${outcomes.join(' ')}`;
  });
  judged.catch(() => undefined);
  return { end: () => over.abort(), judged };
}

// ---- the command ---------------------------------------------------------------------------------------------------

/** On a replica that nothing is wrong with, and then on one with a hole in its history. */
async function commandsOn(scene: ProofScene): Promise<void> {
  const name = 'calm';
  scene.write(name, 2);
  await scene.level(name);
  const until = new Date().toISOString();
  // Listings of some servers tell whole seconds.
  await delay(1_100);
  for (let round = 0; round < 3; round += 1) {
    scene.write(name, 2);
    await scene.level(name);
  }
  for (const flags of [[], ['-full', '-temporary-path', scene.scratch.path], ['-timestamp', until]]) {
    const { code, out, err } = await scene.verify(name, ...flags);
    assert.equal(code, EXIT_OK, out + err);
    assert.match(out, /^proven: .*\n {2}restorable until /);
  }
  const json = await scene.verify(name, '-json');
  const { outcome, results } = JSON.parse(json.out);
  assert.equal(outcome, 'proven');
  assert.equal(results[0].unproven.length, 0);
  const { confirmed } = await scene.replicaOf(name);
  assert.deepEqual(results[0].position, confirmed);
}

// ---- an outage -----------------------------------------------------------------------------------------------------

async function outage(scene: ProofScene): Promise<void> {
  const { place } = scene;
  const name = 'calm';
  const [hole = ''] = (await scene.segments(name)).slice(-2);
  const bytes = await place.read(name, hole);
  await place.stop();
  const away = await scene.verify(name, '-json');
  assert.equal(away.code, EXIT_INCONCLUSIVE, away.out + away.err);
  assert.equal(JSON.parse(away.out).results[0].error.code, 'STORAGE_FAILED');
  for (const one of NAMES) scene.write(one);
  await delay(INTERVAL_MS);
  for (const one of NAMES) {
    assert.equal(scene.errorsOf(one).length, 1, `${one}: no alarm more`);
    assert.notEqual((await scene.replicaOf(one)).proof?.outcome, 'broken');
  }
  if (place.start === undefined) return;
  await place.start();
  for (const one of NAMES) await scene.level(one);
  for (const one of NAMES) await scene.proven(one);
  await scene.stop();
  await withHole(scene, hole, bytes);
}

/** Nobody replicates any more: what is missing stays so, and the command says what can be had instead. */
async function withHole(scene: ProofScene, hole: string, bytes: Uint8Array): Promise<void> {
  const { place } = scene;
  await place.remove('calm', hole);
  const { code, out } = await scene.verify('calm', '-json');
  assert.equal(code, EXIT_BROKEN, out);
  const [{ key, restoreWith }] = JSON.parse(out).results;
  assert.equal(key, hole);
  const output = scene.scratch.file('restored.db');
  scene.typed(String(restoreWith).replace('OUTPUT', output));
  contentsOf(output);
  await place.write('calm', hole, bytes);
  assert.equal((await scene.verify('calm')).code, EXIT_OK);
}
