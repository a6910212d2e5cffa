/** Claims the database of its argument, says so, and holds it until it is ended. */
import { isRivuletError } from '../../src/base/errors.ts';
import { claimDatabase } from '../../src/primary/database-claim.ts';
import { identify } from '../../src/primary/database-file.ts';

const [path = ''] = process.argv.slice(2);
const identity = identify(path);
try {
  if (identity !== undefined) claimDatabase(path, identity);
  console.log('claimed');
} catch (error) {
  console.log(isRivuletError(error) ? `${error.code}: ${error.message}` : String(error));
}
process.stdin.resume();
