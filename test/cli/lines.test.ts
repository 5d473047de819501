import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LinePrefixer } from '../../cli/lines.ts';

function through(chunks: readonly Uint8Array[]): Buffer {
  const prefixer = new LinePrefixer('> ');
  return Buffer.concat([...chunks.map((chunk) => prefixer.push(Buffer.from(chunk))), prefixer.flush()]);
}

test('however the bytes are cut, each line gets one prefix and keeps its bytes', () => {
  const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => array.map((byte) => (byte % 5 === 0 ? 10 : byte)));
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 10 }), (chunks) => {
      const whole = Buffer.concat(chunks).toString('latin1');
      const lines = whole.split('\n');
      if (lines.at(-1) === '') lines.pop();
      expect(through(chunks).toString('latin1')).toBe(lines.map((line) => `> ${line}\n`).join(''));
    }),
  );
});

test('a line without end does not fill the memory', () => {
  const prefixer = new LinePrefixer('> ');
  let out = 0;
  for (let i = 0; i < 40; i++) out += prefixer.push(Buffer.alloc(64 * 1024, 97)).length;
  expect(out).toBeGreaterThan(1024 * 1024);
});
