import { resolve } from 'node:path';
import type { Finding, Verdict } from '../../daemon/check/finding.ts';
import { isUrl } from '../../config/replica-url.ts';
import type { DatabaseSettings, ReplicaSettings } from '../../config/settings.ts';
import { RivuletError } from '../../base/errors.ts';
import { silentLogger } from '../../base/log.ts';
import { visibleText } from '../../base/visible-text.ts';
import type { Command, CommandContext } from '../command.ts';
import { EXIT_FAILED, EXIT_OK } from '../exit-codes.ts';
import { count, writeJson } from '../output.ts';
import { refuseHalfUrl } from '../sources.ts';
import { CONFIG_ENVIRONMENT, CONFIG_FLAGS, JSON_FLAG } from '../shared-flags.ts';

export const command: Command = {
  name: 'check',
  summary: 'Try whether configuration, credentials, permissions and databases will work',
  description:
    'Looks at each database, and lists, writes, reads and deletes an object of its own at each destination. Nothing ' +
    'that exists is touched. Ends with status 1 when anything failed; warnings do not count.',
  arguments: [
    {
      name: 'DB_PATH|REPLICA_URL',
      help: 'only this database of the configuration, or a destination without a configuration',
      optional: true,
    },
  ],
  flags: [
    {
      name: 'iam-policy',
      kind: 'boolean',
      help: 'print the smallest AWS policy for the s3 replicas, and end',
    },
    ...CONFIG_FLAGS,
    JSON_FLAG,
  ],
  examples: [
    { command: 'rivulet check', does: 'everything in the configuration' },
    { command: 'rivulet check s3://mybkt/db', does: 'one destination, before it is configured' },
    { command: 'rivulet check -iam-policy s3://mybkt/db', does: 'the permissions to ask for' },
  ],
  environment: CONFIG_ENVIRONMENT,
  run,
};

/** A connection may break once; what fails three times within seconds is worth a line. */
const ATTEMPTS_MAX = 3;

interface Checked {
  readonly databases: readonly DatabaseSettings[];
  readonly replicas: readonly ReplicaSettings[];
  /** The file that was read, when there was one. */
  readonly file?: string;
}

async function run(context: CommandContext): Promise<number> {
  const what = await chosen(context);
  if (context.flags.boolean('iam-policy')) return printPolicies(context, what);
  const isJson = context.flags.boolean('json');
  const findings: Finding[] = [];
  let subject = '';
  const hints = new Set<string>();
  for await (const finding of findingsOf(context, what)) {
    findings.push(finding);
    if (isJson) continue;
    if (finding.subject !== subject) context.stdout.write(`${visibleText(finding.subject)}\n`);
    subject = finding.subject;
    // What fails for one reason at several steps is advised upon once.
    const isKnown = finding.hint !== undefined && hints.has(`${subject}\n${finding.hint}`);
    context.stdout.write(formatFinding(isKnown ? { ...finding, hint: undefined } : finding));
    if (finding.hint !== undefined) hints.add(`${subject}\n${finding.hint}`);
  }
  const failed = findings.filter(({ verdict }) => verdict === 'failed').length;
  const warnings = findings.filter(({ verdict }) => verdict === 'warning').length;
  if (isJson) writeJson(context.stdout, { ok: failed === 0, failed, warnings, findings });
  else context.stdout.write(summary(failed, warnings));
  return failed === 0 ? EXIT_OK : EXIT_FAILED;
}

async function* findingsOf(
  { clock, signals }: CommandContext,
  what: Checked,
): AsyncGenerator<Finding, void, undefined> {
  if (what.file !== undefined) {
    const detail = `${count(what.databases.length, 'database')}, ${count(what.replicas.length, 'replica')}`;
    const isEmpty = what.databases.length === 0;
    const verdict = isEmpty ? 'failed' : 'ok';
    yield { subject: what.file, step: 'configuration', verdict, detail, ...(isEmpty ? NO_DATABASE : {}) };
  }
  const { check } = await import('../../daemon/check/check.ts');
  const { openStore } = await import('../../daemon/stores.ts');
  yield* check({
    ...what,
    configFile: what.file,
    openStore: async (replica, onKeys) =>
      openStore(replica, { clock, onKeys, attemptsMax: ATTEMPTS_MAX, personWaits: true }),
    clock,
    logger: silentLogger,
    signal: signals.graceful,
  });
}

const NO_DATABASE = {
  code: 'CONFIG_INVALID',
  hint: 'List databases under "dbs"; without one nothing is replicated.',
};

/** What the argument means; without one, the whole configuration. */
async function chosen(context: CommandContext): Promise<Checked> {
  const [where] = context.arguments;
  if (where !== undefined && isUrl(where)) {
    if (context.flags.text('config') !== undefined)
      throw new RivuletError('USAGE', '-config does not go with a replica URL');
    const { configFromCommandLine } = await import('../../config/from-command-line.ts');
    // The path has no meaning here; the URL alone is looked at.
    const [database] = configFromCommandLine('none', [where], { environment: { ...context.env } }).databases;
    return { databases: [], replicas: database?.replicas ?? [] };
  }
  if (where !== undefined) refuseHalfUrl(where);
  const { loadConfigFor } = await import('../load-config.ts');
  const { config, file } = await loadConfigFor(context);
  const databases = config.databases.filter(({ path }) => where === undefined || path === resolve(where));
  if (where !== undefined && databases.length === 0) {
    const known = config.databases.map(({ path }) => path).join(', ') || 'none';
    throw new RivuletError(
      'REPLICA_UNKNOWN',
      `${resolve(where)} is not a database of ${file}; there: ${known}`,
    );
  }
  return { databases, replicas: databases.flatMap(({ replicas }) => replicas), file };
}

async function printPolicies({ stdout }: CommandContext, { replicas }: Checked): Promise<number> {
  const { iamPolicy } = await import('../../daemon/check/iam-policy.ts');
  const policies = replicas
    .map(({ destination }) => destination)
    .filter((destination) => destination.type === 's3')
    .map((destination) => iamPolicy(destination));
  if (policies.length === 0) throw new RivuletError('USAGE', 'there is no s3 replica among what is checked');
  const [first, ...more] = policies;
  // One policy for all of them, with statement ids that stay unique.
  const statements = [...(first?.Statement ?? []), ...more.flatMap(({ Statement }) => Statement)];
  const unique = statements.map((statement, i) => ({
    ...statement,
    Sid: `${statement.Sid}${i === 0 ? '' : i}`,
  }));
  writeJson(stdout, { ...first, Statement: more.length === 0 ? statements : unique });
  return EXIT_OK;
}

const MARKS: Readonly<Record<Verdict, string>> = {
  ok: 'ok     ',
  warning: 'warning',
  failed: 'FAILED ',
  skipped: 'skipped',
};

function formatFinding({ step, verdict, detail, hint, code, elapsedMs }: Finding): string {
  const time = elapsedMs === undefined || verdict === 'skipped' ? '' : ` (${elapsedMs} ms)`;
  const reason = code === undefined ? '' : ` [${code}]`;
  const advice = hint === undefined ? '' : `           hint: ${visibleText(hint)}\n`;
  return `  ${MARKS[verdict]}  ${step}: ${visibleText(detail)}${reason}${time}\n${advice}`;
}

function summary(failed: number, warnings: number): string {
  if (failed > 0) return `${count(failed, 'check')} failed\n`;
  return warnings > 0
    ? `nothing failed; ${count(warnings, 'warning')} to look at\n`
    : 'everything will work\n';
}
