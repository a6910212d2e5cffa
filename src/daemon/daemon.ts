/** All databases of one configuration, with the server that tells about them. */
import type { Clock } from '../base/clock.ts';
import { isRivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { settleAll } from '../base/settle-all.ts';
import { formatReplicaUrl } from '../config/replica-url.ts';
import type { Config, DatabaseSettings } from '../config/settings.ts';
import { createMetrics, type Metrics } from '../server/metrics.ts';
import type { StatusServer } from '../server/http.ts';
import { DatabaseRunner, type DatabaseStatus } from './database-runner.ts';

/** Progress of a shutdown that takes longer is told each so often. */
const PROGRESS_MS = 2_000;
/** A destination may fail this long before `/healthz` says so. */
const UNHEALTHY_AFTER_MS = 30_000;

export interface DaemonTools {
  readonly clock: Clock;
  readonly logger: Logger;
}

export class Daemon {
  readonly #config: Config;
  readonly #tools: DaemonTools;
  readonly #metrics: Metrics = createMetrics();
  readonly #runners: readonly DatabaseRunner[];
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #server: StatusServer | undefined;

  constructor(config: Config, tools: DaemonTools) {
    this.#config = config;
    this.#tools = tools;
    this.#runners = config.databases.map(
      (settings) => new DatabaseRunner(settings, { ...tools, metrics: this.#metrics }),
    );
  }

  /**
   * Opens every database and begins to replicate. One that cannot be opened is tried again later, beside the others.
   *
   * @throws RivuletError when none can be opened, or when the address for metrics cannot be listened on
   */
  async start(): Promise<void> {
    await this.#listen();
    try {
      await this.#openAll();
    } catch (error) {
      await this.#server?.close();
      throw error;
    }
    for (const { settings } of this.#runners) this.#introduce(settings);
    this.#running = Promise.all(this.#runners.map((runner) => runner.run(this.#stop.signal)));
  }

  async #openAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const runner of this.#runners) {
      try {
        await runner.open();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 0 || failures.length < this.#runners.length) return;
    if (failures.every((error) => isRivuletError(error, 'DB_BUSY'))) return;
    throw failures[0];
  }

  async #listen(): Promise<void> {
    if (this.#config.addr === undefined) return;
    const { startStatusServer } = await import('../server/http.ts');
    this.#server = await startStatusServer({
      addr: this.#config.addr,
      metrics: {
        contentType: this.#metrics.contentType,
        render: async () => {
          for (const runner of this.#runners) runner.measure();
          return this.#metrics.render();
        },
      },
      health: () => this.health(),
    });
    const { host, port } = this.#server.address;
    this.#tools.logger.info('serving metrics and health', { url: `http://${host}:${port}/metrics` });
  }

  /** What somebody who starts this for the first time wants to know. */
  #introduce({ path, replicas }: DatabaseSettings): void {
    for (const { name, destination } of replicas) {
      const url = formatReplicaUrl(destination);
      this.#tools.logger.info('replicating', {
        db: path,
        replica: name,
        to: url,
        restoreWith: `rivulet restore -o OUTPUT ${url}`,
      });
    }
  }

  status(): readonly DatabaseStatus[] {
    return this.#runners.map((runner) => runner.status());
  }

  health(): { ok: boolean; databases: readonly DatabaseStatus[] } {
    const databases = this.status();
    const ok = databases.every(
      ({ state, replicas }) =>
        state !== 'failing' &&
        replicas.every((one) => one.state !== 'failing' || one.lagMs < UNHEALTHY_AFTER_MS),
    );
    return { ok, databases };
  }

  /** Ships everything once; a database that fails does not stop the others. @throws the first failure */
  async once(signal: AbortSignal): Promise<void> {
    await settleAll(this.#runners.map(async (runner) => runner.once(signal)));
  }

  /**
   * Stops looking for changes, sends what is left within `shutdown-timeout`, and closes everything.
   *
   * @returns how many destinations did not get everything
   */
  async stop(): Promise<number> {
    this.#stop.abort();
    await this.#running;
    const { clock, logger } = this.#tools;
    const deadlineMs = clock.monotonicMs() + this.#config.shutdownTimeoutMs;
    const progress = setInterval(() => {
      const left = this.status().flatMap(({ replicas }) => replicas.filter(({ lagBytes }) => lagBytes > 0));
      logger.info('still sending the last changes', {
        destinations: left.length,
        bytesLeft: left.reduce((sum, { lagBytes }) => sum + lagBytes, 0),
        secondsLeft: Math.round((deadlineMs - clock.monotonicMs()) / 1000),
      });
    }, PROGRESS_MS);
    try {
      const failed = await Promise.all(this.#runners.map((runner) => runner.finish(deadlineMs)));
      return failed.flat().length;
    } finally {
      clearInterval(progress);
      await this.#server?.close();
    }
  }
}
