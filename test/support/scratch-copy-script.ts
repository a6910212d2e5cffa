/** Makes a scratch copy in the directory and with the prefix of the arguments, says where, and waits to be killed. */
import { writeFileSync } from 'node:fs';
import { makeScratchCopy } from '../../src/restore/scratch-copy.ts';

const [parent = '', prefix = ''] = process.argv.slice(2);
const { path } = makeScratchCopy(parent, prefix, Date.now());
writeFileSync(path, 'a copy');
console.log(path);
process.stdin.resume();
