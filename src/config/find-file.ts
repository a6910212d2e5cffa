/** A place where a configuration file may be, and why it is looked for there. */
export interface ConfigCandidate {
  readonly path: string;
  readonly reason: string;
  /** Somebody asked for exactly this file: if it is missing, no other is taken instead. */
  readonly isDemanded: boolean;
}

export interface CandidateOptions {
  /** From the command line. */
  readonly explicitPath?: string | undefined;
  readonly environment: NodeJS.ProcessEnv;
  readonly platform: NodeJS.Platform;
}

/**
 * The places to look for the configuration file, in order: the command line, `RIVULET_CONFIG`, `LITESTREAM_CONFIG`, then
 * the system's usual places. A demanded place is the only one.
 */
export function configCandidates(options: CandidateOptions): readonly ConfigCandidate[] {
  const { explicitPath, environment, platform } = options;
  if (explicitPath !== undefined) return [demanded(explicitPath, 'given by -config')];
  for (const name of ['RIVULET_CONFIG', 'LITESTREAM_CONFIG']) {
    const path = environment[name];
    if (path !== undefined && path !== '') return [demanded(path, `given by ${name}`)];
  }
  const usual =
    platform === 'win32'
      ? ['C:\\Rivulet\\rivulet.yml', 'C:\\Litestream\\litestream.yml']
      : ['/etc/rivulet.yml', '/etc/litestream.yml'];
  return usual.map((path) => ({ path, reason: 'the usual place', isDemanded: false }));
}

function demanded(path: string, reason: string): ConfigCandidate {
  return { path, reason, isDemanded: true };
}
