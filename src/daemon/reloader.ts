/** Takes a new configuration when it is asked to, one at a time, and goes on with the old one when it has errors. */
import { isRivuletError, RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Config, LoggingSettings } from '../config/settings.ts';
import { isUnchanged, summaryOf } from './config-changes.ts';
import type { Daemon } from './daemon.ts';
import { assertEncryption } from './encryption.ts';

export interface ReloadSource {
  /** Reads the configuration anew. @throws RivuletError as at the start */
  load(): Promise<{ readonly config: Config; readonly warnings: readonly string[] }>;
  setLogging(settings: LoggingSettings): Promise<void>;
}

export class Reloader {
  readonly #daemon: Daemon;
  readonly #source: ReloadSource;
  readonly #logger: Logger;
  #isWanted = false;
  #isBusy = false;

  constructor(daemon: Daemon, source: ReloadSource, logger: Logger) {
    this.#daemon = daemon;
    this.#source = source;
    this.#logger = logger;
  }

  /** Asked for again while one is under way, another one follows: the file may have changed behind its back. */
  request(): void {
    this.#isWanted = true;
    if (!this.#isBusy) void this.#run();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    this.#isBusy = true;
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#reload();
    }
    this.#isBusy = false;
  }

  async #reload(): Promise<void> {
    let config: Config;
    try {
      config = await this.#load();
    } catch (error) {
      this.#daemon.countReload('error');
      for (const line of linesOf(error)) this.#logger.error(line);
      this.#logger.error('the configuration was not reloaded; everything goes on as before', {
        hint: 'Correct it (`rivulet config` checks it) and send SIGHUP again.',
      });
      return;
    }
    try {
      await this.#source.setLogging(config.logging);
      const changes = await this.#daemon.reload(config);
      this.#daemon.countReload('ok');
      if (changes.exec) this.#logger.warn('another `exec` takes effect at the next start');
      const summary = isUnchanged(changes) ? { changes: 'none' } : summaryOf(changes);
      this.#logger.info('the configuration was reloaded', summary);
    } catch (error) {
      // Everything is to end: no configuration matters any more.
      if (isRivuletError(error, 'CANCELLED')) return;
      this.#daemon.countReload('error');
      this.#logger.error('the configuration was reloaded in part only', {
        error,
        hint: 'Send SIGHUP again once the cause is removed; `rivulet status` shows what is in effect.',
      });
    }
  }

  async #load(): Promise<Config> {
    const { config, warnings } = await this.#source.load();
    await assertEncryption(config);
    if (config.databases.length === 0) {
      throw new RivuletError('CONFIG_INVALID', 'the configuration names no database to replicate any more');
    }
    for (const warning of warnings) this.#logger.warn(warning);
    return config;
  }
}

/** All problems of a file are one error with a line for each. */
function linesOf(error: unknown): readonly string[] {
  return (error instanceof Error ? error.message : String(error)).split('\n');
}
