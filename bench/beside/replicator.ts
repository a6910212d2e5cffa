/** A replicator beside the application of one run, started as its users start it, with its defaults. */
import { globSync, writeFileSync } from 'node:fs';
import { freePort } from '../../test/support/free-port.ts';
import type { RunFolder } from '../measurement.ts';
import { MeteredProcess, runMetered } from '../process-meter.ts';
import { until } from '../replica-folder.ts';
import type { Companion } from './companions.ts';

const START_LIMIT_MS = 60_000;
const LOOK_MS = 20;
/** After its first objects; both Litestreams look at their databases once a second. */
const QUIET_MS = 2_500;

export interface ReplicatorOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Keys of the replica, instead of one in the run's folder. */
  readonly replica?: Readonly<Record<string, unknown>>;
  /** Returns at once instead of when its first snapshot is stored and all is quiet. */
  readonly early?: boolean;
}

export class Replicator implements AsyncDisposable {
  readonly companion: Companion;
  readonly #folder: RunFolder;
  readonly #process: MeteredProcess | undefined;
  readonly #address: string | undefined;

  private constructor(companion: Companion, folder: RunFolder, process?: MeteredProcess, address?: string) {
    this.companion = companion;
    this.#folder = folder;
    this.#process = process;
    this.#address = address;
  }

  /** Beside nothing it starts nothing. The database is `app.db` of the folder. */
  static async start(
    companion: Companion,
    folder: RunFolder,
    { env = {}, replica, early = false }: ReplicatorOptions = {},
  ): Promise<Replicator> {
    const { tool, kind } = companion;
    if (tool === undefined) return new Replicator(companion, folder);
    const config = folder.file('config.yml');
    const address = kind === 'rivulet' ? `127.0.0.1:${await freePort()}` : undefined;
    const replicas = [replica ?? { path: folder.file('replica') }];
    const dbs = [{ path: folder.file('app.db'), replicas }];
    // JSON is YAML.
    writeFileSync(config, JSON.stringify({ ...(address === undefined ? {} : { addr: address }), dbs }));
    const words = ['replicate', '-config', config];
    const process = new MeteredProcess({ command: tool.command, arguments: words, env });
    const started = new Replicator(companion, folder, process, address);
    if (early) return started;
    await started.until(() => started.#objects().length > 0);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    return started;
  }

  /** Waits until that is so. Throws with its output when the replicator has ended. */
  async until(isSo: () => boolean): Promise<void> {
    const look = (): true | undefined => {
      this.#process?.usage();
      return isSo() ? true : undefined;
    };
    await until(look, LOOK_MS, START_LIMIT_MS);
  }

  #objects(): string[] {
    return globSync('**/*.{lz4,ltx}', { cwd: this.#folder.file('replica') });
  }

  /** Snapshots that are stored: those of v0.3's layout. */
  get snapshots(): number {
    return this.#objects().filter((name) => name.includes('snapshots/')).length;
  }

  /** Rivulet's metrics by name, several of one name added up; of others and of old versions, nothing. */
  async metrics(): Promise<Readonly<Record<string, number>>> {
    if (this.#address === undefined) return {};
    const text = await (await fetch(`http://${this.#address}/metrics`)).text();
    const sums: Record<string, number> = {};
    for (const [, name = '', value = ''] of text.matchAll(/^(\w+)(?:\{.*\})? (\S+)$/gm))
      sums[name] = (sums[name] ?? 0) + Number(value);
    return sums;
  }

  /** Ends it and restores what it stored. */
  async restore(output: string): Promise<void> {
    const { tool } = this.companion;
    if (tool === undefined) return;
    await this.#process?.stop();
    const words = ['restore', '-config', this.#folder.file('config.yml'), '-o', output];
    await runMetered({ command: tool.command, arguments: [...words, this.#folder.file('app.db')] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.stop();
  }
}
