/** Writes the table of all keys into docs/configuration.md. Run it after a change of src/config/schema.ts. */
import { readFile, writeFile } from 'node:fs/promises';

import { configReference, REFERENCE_BEGIN, REFERENCE_END } from '../src/config/reference.ts';

const page = new URL('../docs/configuration.md', import.meta.url);
const [before = '', rest = ''] = (await readFile(page, 'utf8')).split(REFERENCE_BEGIN);
const after = rest.split(REFERENCE_END)[1] ?? '';
await writeFile(page, `${before}${REFERENCE_BEGIN}\n\n${configReference()}\n${REFERENCE_END}${after}`);
