/** One input to one reader, and whether what happened was allowed to happen. */
import { AssertionError } from 'node:assert';
import { RivuletError } from '../../src/base/errors.ts';
import { Random } from '../faults/random.ts';
import { MemoryMeter } from './memory-meter.ts';
import { nextInput } from './mutate.ts';
import type { FuzzTarget } from './target.ts';

const INPUT_BYTES_MAX = 64 * 1024;
/** Of the processor, so that a busy machine makes no findings. An input of 64 KiB takes a few milliseconds. */
const CPU_MS_MAX = 2_000;
const MEMORY = { perByte: 64, besides: 4 * 1024 * 1024 };
/** What a person has to read; a server must not be able to fill a log. */
const MESSAGE_LENGTH_MAX = 4_096;
/** Traces of values that should have been something else. */
const UNTOLD = /\bundefined\b|\bNaN\b|\[object /;

export type Outcome = 'accepted' | 'refused';

export interface Finding {
  readonly what: string;
  readonly stack: string | undefined;
}

/** What the seed makes of a target's `number`th case. */
export function inputOf(
  target: FuzzTarget,
  samples: readonly Uint8Array[],
  seed: number,
  number: number,
): Uint8Array {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b));
  const rules = { words: target.words, bytesMax: target.inputBytesMax ?? INPUT_BYTES_MAX };
  const input = nextInput(samples, random, rules);
  return target.repair !== undefined && random.chance(0.5) ? target.repair(input) : input;
}

/** @returns the outcome, or what should not have happened */
export async function runCase(target: FuzzTarget, input: Uint8Array): Promise<Outcome | Finding> {
  const meter = new MemoryMeter();
  const before = process.cpuUsage();
  let outcome: Outcome | Finding = 'accepted';
  try {
    await meter.around(() => target.read(input));
  } catch (error) {
    outcome = judge(target, input, error);
  }
  const { user, system } = process.cpuUsage(before);
  if (typeof outcome !== 'string') return outcome;
  const cpuMs = (user + system) / 1_000;
  const cpuMsMax = target.cpuMsMax ?? CPU_MS_MAX;
  if (cpuMs > cpuMsMax)
    return found(`it took ${Math.round(cpuMs)} ms of the processor, at most ${cpuMsMax} expected`);
  const { perByte, besides } = target.memory ?? MEMORY;
  const most = perByte * input.length + besides;
  if (meter.askedBytes > most)
    return found(`it asked for ${meter.askedBytes} bytes of memory, at most ${most} expected`);
  return outcome;
}

function judge(target: FuzzTarget, input: Uint8Array, error: unknown): Outcome | Finding {
  if (error instanceof AssertionError) return found(`a promise is broken: ${error.message}`, error);
  if (target.refusesWith?.(error) === true) return 'refused';
  if (!(error instanceof RivuletError)) return found(`it threw ${String(error)}`, error);
  if (!target.codes.includes(error.code)) return found(`it threw ${error.code}: ${error.message}`, error);
  const text = `${error.message} ${error.hint ?? ''}`;
  const lengthMax = MESSAGE_LENGTH_MAX + (target.isShownInMessages === true ? 4 * input.length : 0);
  if (text.length > lengthMax) return found(`its message has ${text.length} characters`, error);
  const untold = UNTOLD.exec(text);
  if (untold !== null && !Buffer.from(input).toString('latin1').includes(untold[0])) {
    return found(`its message tells nothing: ${text}`, error);
  }
  return 'refused';
}

function found(what: string, error?: unknown): Finding {
  return { what, stack: error instanceof Error ? error.stack : undefined };
}

const SHRINK_TRIES = 400;

/** A shorter input with a finding, made by leaving out one stretch after another. */
export async function shrink(target: FuzzTarget, input: Uint8Array): Promise<Uint8Array> {
  let best = input;
  let tries = 0;
  for (
    let size = Math.ceil(best.length / 2);
    size >= 1 && tries < SHRINK_TRIES;
    size = Math.floor(size / 2)
  ) {
    for (let at = 0; at < best.length && tries < SHRINK_TRIES;) {
      const shorter = Uint8Array.from(Buffer.concat([best.subarray(0, at), best.subarray(at + size)]));
      tries++;
      if (typeof (await runCase(target, shorter)) === 'string') at += size;
      else best = shorter;
    }
  }
  return best;
}
