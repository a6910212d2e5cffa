/**
 * A primary in a process that may be killed: `primary-script.ts DATABASE META_PATH`. Lines on stdin: `refresh` looks at
 * the database, `close` ends cleanly; each is answered with `GENERATION INDEX OFFSET`, or with the error's code.
 */
import { createInterface } from 'node:readline';
import { isRivuletError } from '../../src/base/errors.ts';
import type { Primary } from '../../src/primary/primary.ts';
import { openPrimary } from './live-database.ts';

const [path = '', metaPath = ''] = process.argv.slice(2);

function tell({ generation, position }: Primary): void {
  console.log(`${generation} ${position?.index} ${position?.offsetBytes}`);
}

try {
  const primary = openPrimary(path, { metaPath });
  await primary.refresh();
  tell(primary);
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'close') {
      const before = { generation: primary.generation, position: primary.position };
      await primary.close();
      tell(before as Primary);
      break;
    }
    await primary.refresh();
    tell(primary);
  }
} catch (error) {
  console.log(isRivuletError(error) ? error.code : String(error));
}
process.exit();
