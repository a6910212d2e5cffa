import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseEnvironmentFile } from '../../src/credentials/environment-file.ts';

/** What systemd reads of each; see systemd.exec(5), "EnvironmentFile=". */
const CASES: readonly [text: string, expected: Record<string, string>][] = [
  ['A=1\nB=two words\n', { A: '1', B: 'two words' }],
  ['# comment\n; comment\n\n  A=1', { A: '1' }],
  ['A= 1 \t\nB =2\r\n', { A: '1', B: '2' }],
  ['A=\nB=""\n', { A: '', B: '' }],
  ['A="x y"\nB=\'x "y"\'\n', { A: 'x y', B: 'x "y"' }],
  ['A="one"\'two\' three\n', { A: 'onetwothree' }],
  ['A=it\'s "plain"\n', { A: 'it\'s "plain"' }],
  ['A="a\\"b\\\\c\\$d\\`e\\n"\n', { A: 'a"b\\c$d`e\\n' }],
  ["A='a\\b'\n", { A: 'a\\b' }],
  ['A=a\\ b\\\\c\n', { A: 'a b\\c' }],
  ['A=end\\ \n', { A: 'end ' }],
  ['A=one\\\ntwo\nB=2\n', { A: 'onetwo', B: '2' }],
  ['A="one\\\ntwo"\n', { A: 'onetwo' }],
  ['A="one\ntwo"\n', { A: 'one\ntwo' }],
  ['# comment \\\nA=1\n', { A: '1' }],
  ['A=#no comment\nB=1 # neither\n', { A: '#no comment', B: '1 # neither' }],
  ['A=$HOME ${X}\n', { A: '$HOME ${X}' }],
  ['A=1\nA=2\n', { A: '2' }],
  ['no assignment\nexport A=1\n1A=2\nB=3\n', { B: '3' }],
  ['A=b=c==\n', { A: 'b=c==' }],
  ['\uFEFFA=1\n', { A: '1' }],
  ['A=end\\', { A: 'end' }],
  ['', {}],
];

for (const [text, expected] of CASES) {
  test(`reads ${JSON.stringify(text)}`, () => {
    assert.deepEqual(Object.fromEntries(parseEnvironmentFile(text)), expected);
  });
}

test('a file that ends within quotes is not whole', () => {
  assert.throws(() => parseEnvironmentFile('A="one\nB=2\n'), /never closed/);
  assert.throws(() => parseEnvironmentFile("A=1\nB='two"), /never closed/);
});
