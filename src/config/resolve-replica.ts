import { messageOf } from '../base/errors.ts';
import { readKeyLines } from '../codec/age/age-keys.ts';
import type { Given } from './key-spec.ts';
import { absolutePath } from './paths.ts';
import { resolveDestination } from './resolve-destination.ts';
import type { SharedKeys } from './destination-parts.ts';
import type { AgeSettings, ReplicaSettings, VerifySettings } from './settings.ts';
import { settle } from './settle.ts';
import type { Settling } from './settle.ts';

/** One replica with its defaults; undefined when its destination has problems, which are reported. */
export function resolveReplica(
  given: Given<'replica'>,
  shared: SharedKeys,
  settling: Settling,
): ReplicaSettings | undefined {
  const destination = resolveDestination(given, shared, settling);
  if (destination === undefined) return undefined;
  const settled = settle('replica', given);
  return {
    name: settled.name ?? destination.type,
    retentionMs: settled.retentionMs,
    retentionCheckIntervalMs: checkIntervalMs(settled.retentionCheckIntervalMs, settled.retentionMs),
    syncIntervalMs: settled.syncIntervalMs,
    snapshotIntervalMs: settled.snapshotIntervalMs,
    validationIntervalMs: settled.validationIntervalMs,
    stallAfterMs: settled.stallAfterMs,
    onStall: settled.onStall,
    age: ageSettings(given, settling),
    destination,
    lease: settled.lease,
    verify: verifySettings(settled.verify, settling),
  };
}

/** A retention shorter than the pause between two checks could not be kept. */
function checkIntervalMs(intervalMs: number, retentionMs: number): number {
  return retentionMs > 0 ? Math.min(intervalMs, retentionMs) : intervalMs;
}

function verifySettings(verify: VerifySettings, settling: Settling): VerifySettings {
  const { temporaryPath } = verify;
  return temporaryPath === undefined
    ? verify
    : { ...verify, temporaryPath: absolutePath(temporaryPath, settling) };
}

/** An `age` section without keys still asks for encryption, so it must not read as "none". */
function ageSettings({ age }: Given<'replica'>, settling: Settling): AgeSettings | undefined {
  if (age === undefined) return undefined;
  if (age.passphrase !== undefined && age.passphraseFile !== undefined) {
    settling.problem(age, 'passphraseFile', 'cannot be given beside `passphrase`');
  }
  checkRecipients(age, settling);
  const absolute = (path: string): string => absolutePath(path, settling);
  return {
    identities: age.identities ?? [],
    identitiesFile: (age.identitiesFile ?? []).map(absolute),
    recipients: age.recipients ?? [],
    recipientsFile: (age.recipientsFile ?? []).map(absolute),
    passphrase: age.passphrase,
    passphraseFile: age.passphraseFile === undefined ? undefined : absolute(age.passphraseFile),
  };
}

/** They are shown where secrets are masked, so what is no public key must not get through. */
function checkRecipients(age: NonNullable<Given<'replica'>['age']>, settling: Settling): void {
  for (const [n, text] of (age.recipients ?? []).entries()) {
    try {
      readKeyLines('recipient', { source: `entry ${n + 1}`, text });
    } catch (error) {
      settling.problem(age, 'recipients', messageOf(error));
    }
  }
}
