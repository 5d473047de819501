/** TypeScript that docs show compiles against the tree as it is. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const blocks = readdirSync(join(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .flatMap((name) =>
    [...readFileSync(join(root, 'docs', name), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
      ([, body = ''], index) => ({ name: `${name.replace('.md', '')}-${index + 1}`, body }),
    ),
  );

function compile(files: readonly { name: string; body: string }[]): { status: number | null; said: string } {
  mkdirSync(join(root, 'dist'), { recursive: true });
  const directory = mkdtempSync(join(root, 'dist', 'doc-blocks-'));
  try {
    for (const { name, body } of files) {
      // Blocks import as from a folder of the root; this one is a folder deeper.
      writeFileSync(join(directory, `${name}.ts`), body.replaceAll("from '../", "from '../../"));
    }
    const config = join(directory, 'tsconfig.json');
    writeFileSync(config, JSON.stringify({ extends: '../../tsconfig.json', include: ['*.ts'] }));
    const tsc = join(root, 'node_modules', '.bin', 'tsc');
    const { status, stdout, stderr } = spawnSync(tsc, ['-p', config], { encoding: 'utf8', cwd: directory });
    return { status, said: stdout + stderr };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test('every block of TypeScript in docs compiles', { timeout: 120_000 }, () => {
  expect(blocks.length).toBeGreaterThanOrEqual(4);
  const { status, said } = compile(blocks);
  expect(said).toBe('');
  expect(status).toBe(0);
});

test('one that does not fit is noticed', { timeout: 120_000 }, () => {
  const { said } = compile([
    { name: 'wrong', body: "import { connect } from '../client/index.ts';\nawait connect({ hom: '' });\n" },
  ]);
  expect(said).toMatch(/wrong\.ts.*'hom'/s);
});
