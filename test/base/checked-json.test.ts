import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { decodeCheckedJson, encodeCheckedJson } from '../../src/base/checked-json.ts';

describe('JSON with a checksum', () => {
  it('comes back as it was written', () => {
    const objects = fc.dictionary(
      fc.string().filter((key) => key !== 'crc32' && key !== '__proto__'),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(objects, (fields) => {
        const text = encodeCheckedJson(fields);
        assert.deepEqual(decodeCheckedJson(text), JSON.parse(JSON.stringify(fields)));
        assert.match(text, /^[^\n]*\n$/);
      }),
    );
  });

  it('is refused with any one bit flipped but in the blanks', () => {
    const fields = { generation: '00112233445566aa', salts: [1, 2], name: 'a b', on: true };
    const bytes = Buffer.from(encodeCheckedJson(fields).trimEnd(), 'latin1');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.throws(() => decodeCheckedJson(flipped.toString('latin1')), `bit ${bit}`);
    }
  });

  it('is refused when it is no object, or has no checksum', () => {
    for (const text of ['', 'null', '[]', '7', '"text"', '{}', '{"a":1}', '{"a":1,"crc32":null}'])
      assert.throws(() => decodeCheckedJson(text), text);
  });
});
