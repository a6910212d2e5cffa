import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A temporary folder that goes with its scope. */
export class Scratch implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), 'rivulet-test-'));

  file(name: string): string {
    return join(this.path, name);
  }

  names(): string[] {
    return readdirSync(this.path).sort();
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
