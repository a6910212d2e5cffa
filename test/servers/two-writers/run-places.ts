/** Many schedules, several at a time, on a directory and on a real S3 server. */
import { join } from 'node:path';
import { makeSchedule } from './schedule.ts';
import { type Place, runSchedule, type ScheduleOutcome } from './run-schedule.ts';

export type PlaceName = 'directory';

export interface PlacesOptions {
  readonly seed: number;
  readonly schedules: number;
  readonly on: PlaceName | undefined;
  readonly atOnce: number;
  /** For replicas in directories. */
  readonly folder: string;
  readonly tellStory?: boolean;
  readonly say: (text: string) => void;
}

export interface PlacesSummary {
  readonly failed: number;
  readonly schedules: number;
}

function directory(folder: string): Place {
  return { destination: (name) => ({ type: 'file', path: join(folder, name) }), grainMs: 2 };
}

export async function runPlaces(options: PlacesOptions): Promise<PlacesSummary> {
  const outcomes = await runAll(directory(options.folder), options);
  const failed = outcomes.filter(({ problems }) => problems.length > 0).length;
  const sum = (of: (outcome: ScheduleOutcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  options.say(
    `directory: ${outcomes.length} schedules, ${failed} failed; ${sum((o) => o.promises)} promises, ` +
      `${sum((o) => o.takeovers)} take-overs, ${sum((o) => o.losses)} losses told`,
  );
  return { failed, schedules: outcomes.length };
}

async function runAll(place: Place, options: PlacesOptions): Promise<ScheduleOutcome[]> {
  const { seed, schedules, atOnce, say, tellStory = false } = options;
  const outcomes: ScheduleOutcome[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < schedules) {
      const mine = seed + next++;
      const outcome = await runSchedule(makeSchedule(mine), place);
      outcomes.push(outcome);
      if (outcome.problems.length === 0 && !tellStory) continue;
      for (const line of outcome.story) say(`    ${line}`);
      say(`seed ${mine}: ${outcome.problems.join('; ') || 'no problem'}`);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(atOnce, schedules)) }, work));
  return outcomes;
}
