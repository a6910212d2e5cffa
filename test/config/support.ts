import assert from 'node:assert/strict';

import { isRivuletError } from '../../src/base/errors.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { ParsedConfig } from '../../src/config/parse-config.ts';
import type { Problem } from '../../src/config/problems.ts';
import type { DatabaseSettings, ReplicaSettings } from '../../src/config/settings.ts';

export const FILE = 'rivulet.yml';
export const PLACES = { cwd: '/srv/dir', home: '/home/me' };

/** Parses with nothing of this machine in it. */
export function parse(
  text: string,
  environment: NodeJS.ProcessEnv = {},
  expandsEnvironment = true,
): ParsedConfig {
  return parseConfig(text, { file: FILE, environment, expandsEnvironment, ...PLACES });
}

/** The problems that a text is refused for, as `line:column path: message`. */
export function problemsOf(text: string, environment: NodeJS.ProcessEnv = {}): string[] {
  const list = problemList(text, environment);
  return list.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

export function problemList(text: string, environment: NodeJS.ProcessEnv = {}): Problem[] {
  try {
    parse(text, environment);
  } catch (error) {
    assert.ok(isRivuletError(error, 'CONFIG_INVALID'), String(error));
    return error.details['list'] as Problem[];
  }
  return assert.fail('the text was accepted');
}

export function firstDatabase(parsed: ParsedConfig): DatabaseSettings {
  return parsed.config.databases[0] ?? assert.fail('no database');
}

export function firstReplica(parsed: ParsedConfig): ReplicaSettings {
  return firstDatabase(parsed).replicas[0] ?? assert.fail('no replica');
}

/** A file with one database and one replica, whose keys are `replicaLines`. */
export function withReplica(...replicaLines: string[]): string {
  const [first = '', ...rest] = replicaLines;
  return [
    'dbs:',
    '  - path: /a.db',
    '    replicas:',
    `      - ${first}`,
    ...rest.map((line) => `        ${line}`),
    '',
  ].join('\n');
}
