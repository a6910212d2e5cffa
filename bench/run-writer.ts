/** Runs an application of the benchmark as a process of its own. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Resolves to what it prints: JSON. */
export async function runWriter(name: string, ...words: (string | number)[]): Promise<unknown> {
  const script = fileURLToPath(new URL(`workload/${name}.ts`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...words.map(String)], {
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  return JSON.parse(stdout);
}
