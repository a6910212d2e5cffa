/** Carries out what a plan says. */
import type { EventKind, PlannedEvent } from './plan.ts';
import { READ_FAULTS, type ReadFault } from '../support/failing-reads.ts';
import { DATABASE, type Host } from './world/host.ts';
import type { Place, World } from './world/world.ts';

type Effect<On> = (world: World, on: On, amount: number, choices: readonly number[]) => unknown;

/** Faults of destinations last longer than the time that a plan says: whoever waits for them waits with growing pauses. */
const PLACE_TIMES = 3;

const NO_FAULTS = { failing: 0, forgetful: 0, hanging: 0, doubled: 0, isAway: false, listingLagMs: 0 };

function endsFaults(world: World, { server }: Place, amount: number): void {
  world.time.after(amount * PLACE_TIMES, () => void Object.assign(server.manners, NO_FAULTS));
}

const ON_PLACE: Partial<Record<EventKind, Effect<Place>>> = {
  away: (world, place, amount) => {
    world.note(`${place.name} is away`);
    place.server.manners.isAway = true;
    endsFaults(world, place, amount);
  },
  'bad-manners': (world, place, amount, [a = 0, b = 0, c = 0, d = 0]) => {
    world.note(`${place.name} misbehaves`);
    const doubled = place.server.forgetsAbandoned ? 0 : d * 0.3;
    Object.assign(place.server.manners, { failing: a * 0.6, forgetful: b * 0.4, hanging: c * 0.05, doubled });
    endsFaults(world, place, amount);
  },
  'stale-listings': (world, place, amount, [a = 0]) => {
    // What overwrites cannot be continued by listings that are behind: the first segment of a log would be written anew.
    if (place.server.forgetsAbandoned && place.settings.conditions !== 'create-only') return;
    world.note(`${place.name}: listings lag behind`);
    world.hadStaleListings = true;
    place.server.manners.listingLagMs = Math.floor(a * 3_000);
    endsFaults(world, place, amount);
  },
  'store-clock': (world, place, _, [a = 0]) => {
    world.note(`${place.name}: its clock moves`);
    world.hasOddClocks = true;
    // Without a lease nothing but the times of objects says which of two generations is the later one.
    const backMs = place.settings.lease === undefined ? 0 : 10_000;
    place.server.manners.skewMs += Math.floor(a * (10_000 + backMs) - backMs);
  },
  tamper: (world, place, _, choices) => world.tamper(place, choices),
  check: async (world) => world.check(),
  'check-moment': async (world, place, _, [a = 0]) => {
    await world.check();
    await world.checkMoment(place, a);
  },
  'check-generations': async (world, place, _, [a = 0]) => world.checkGenerations(place, a),
};

/** So many calls of Rivulet from now, at most. */
const CALLS_MAX = 300;

function startsLater(world: World, host: Host, ms: number): void {
  world.time.after(ms, () => host.startRivulet());
}

/** The most common one twice. */
const FAULTS: readonly ReadFault[] = ['EIO', ...READ_FAULTS];

/** By what is read: the log alone, the database file alone, all that Rivulet reads. */
const READ_BY_NAME: readonly ((path: string) => boolean)[] = [
  (path) => path === `${DATABASE}-wal`,
  (path) => path === DATABASE,
  () => true,
];

function fillDisk(world: World, host: Host, ms: number): void {
  host.note('the disk is full');
  host.disk.isFull = true;
  world.time.after(ms, () => (host.disk.isFull = false));
}

const ON_HOST: Partial<Record<EventKind, Effect<Host>>> = {
  kill: (world, host, amount) => {
    host.killRivulet();
    startsLater(world, host, amount);
  },
  'kill-in-call': (world, host, amount, [a = 0]) => {
    host.atCall(Math.floor(a * CALLS_MAX), () => host.killRivulet());
    startsLater(world, host, amount + 500);
  },
  stop: (world, host, amount) => {
    host.stopRivulet();
    startsLater(world, host, amount + 6_000);
  },
  freeze: (_, host, amount) => host.freezeRivulet(amount * 2),
  pause: (world, host, amount, [a = 0]) => {
    world.hasOddClocks = true;
    host.pause(amount * 2, a < 0.5);
  },
  'kill-application': (_, host, amount) => host.killApplication(amount),
  'kill-in-commit': (_, host, amount, [a = 0]) =>
    host.killApplicationInCommit(a < 0.3 ? 'before the header' : 'between the copies', amount),
  'power-cut': (world, host, amount) => {
    world.powerCut(host);
    startsLater(world, host, amount);
  },
  'power-cut-in-call': (world, host, amount, [a = 0]) => {
    host.atCall(Math.floor(a * CALLS_MAX), () => world.powerCut(host));
    startsLater(world, host, amount + 500);
  },
  'disk-full': (world, host, amount) => fillDisk(world, host, amount),
  'disk-full-in-call': (world, host, amount, [a = 0]) =>
    host.atCall(Math.floor(a * CALLS_MAX), () => fillDisk(world, host, amount)),
  'io-errors': (world, host, amount, [a = 0]) => {
    host.note('the disk fails now and then');
    host.disk.failing = a * 0.3;
    world.time.after(amount, () => (host.disk.failing = 0));
  },
  'read-errors': (world, host, amount, [a = 0, b = 0, c = 0]) => {
    const fault = chosen(FAULTS, b);
    host.note(`reads fail (${fault})`);
    const failingReads = { isHit: chosen(READ_BY_NAME, a), share: c < 0.25 ? 1 : c * 0.5, fault };
    host.disk.failingReads = failingReads;
    world.time.after(amount, () => {
      if (host.disk.failingReads === failingReads) host.disk.failingReads = undefined;
    });
  },
  'damage-state': (world, host, amount, [a = 0]) => {
    host.damageState(a);
    startsLater(world, host, amount);
  },
  'replace-database': (world, host, amount, [a = 0]) => {
    if (!host.hasDatabase) return;
    host.replaceDatabase(a < 0.5 ? 0 : amount);
    world.forgetPromises(host);
  },
  copy: (_, host) => host.takeCopy(),
  clone: (world) => world.cloneHost(),
  'clock-jump': (world, host, _, [a = 0]) => {
    world.hasOddClocks = true;
    host.jumpClock(Math.floor((a - 0.5) * 7_200_000));
  },
};

function chosen<T>(from: readonly T[], choice = 0): T {
  return from[Math.floor(choice * from.length)] as T;
}

/** @throws Violation from checks */
export async function befall(world: World, { kind, amount, choices }: PlannedEvent): Promise<void> {
  await ON_HOST[kind]?.(world, chosen(world.hosts, choices[4]), amount, choices);
  await ON_PLACE[kind]?.(world, chosen(world.places, choices[5]), amount, choices);
}
