/** Claims the database of its argument, says so, and holds it until it is ended. */
import { claimDatabase } from '../../src/primary/database-claim.ts';
import { identify } from '../../src/primary/database-file.ts';

const [path = ''] = process.argv.slice(2);
const identity = identify(path);
if (identity !== undefined) claimDatabase(path, identity);
console.log('claimed');
process.stdin.resume();
