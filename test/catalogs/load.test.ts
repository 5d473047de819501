import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { catalog, catalogFiles } from '../../catalogs/load.ts';

const HEADER = 'instance_type,region,price_usd_hour\n';
let home: string;
let own: string;
let cache: string | undefined;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'styx-catalogs-'));
  own = join(home, 'catalogs');
  mkdirSync(own);
  cache = process.env.STYX_CACHE;
  process.env.STYX_CACHE = join(home, 'cache');
});
afterEach(() => {
  if (cache === undefined) delete process.env.STYX_CACHE;
  else process.env.STYX_CACHE = cache;
  rmSync(home, { recursive: true, force: true });
});

const types = async (cloud: string) => [...(await catalog(cloud, home)).rows()].map((row) => row.instanceType);

test("the user's own file wins over the one that Styx brings, and is as old as it is", async () => {
  const shipped = await catalog('aws', home);
  writeFileSync(join(own, 'aws.csv'), `${HEADER}mine,here,1\n`);
  utimesSync(join(own, 'aws.csv'), 1_750_000_000, 1_750_000_000);
  expect(await types('aws')).toEqual(['mine']);
  expect((await catalog('AWS', home)).info).toMatchObject({ prices: '2025-06-15', undated: false });
  rmSync(join(own, 'aws.csv'));
  expect(await catalog('aws', home)).toBe(shipped);
});

test('a cloud that Styx does not know is one when there is a file of it', async () => {
  writeFileSync(join(own, 'basement.csv'), `${HEADER}rack,cellar,0\n`);
  writeFileSync(join(own, 'notes.txt'), 'no catalogue');
  expect(await types('basement')).toEqual(['rack']);
  expect(catalogFiles(home).filter((file) => file.own)).toEqual([
    { cloud: 'basement', path: join(own, 'basement.csv'), own: true, fetched: false },
  ]);
});

test('a file that changes is read again', async () => {
  const file = join(own, 'aws.csv');
  writeFileSync(file, `${HEADER}one,here,1\n`);
  expect(await types('aws')).toEqual(['one']);
  writeFileSync(file, `${HEADER}three,here,1\n`);
  expect(await types('aws')).toEqual(['three']);
  writeFileSync(file, 'rubbish\n');
  await expect(catalog('aws', home)).rejects.toThrow(`${file}:1: `);
  writeFileSync(file, `${HEADER}four,here,1\n`);
  expect(await types('aws')).toEqual(['four']);
});

test('what is kept of a file is never taken for another or for a later one, and a broken keep is not believed', async () => {
  const read = async (text: string) => {
    writeFileSync(join(own, 'aws.csv'), text);
    utimesSync(join(own, 'aws.csv'), Math.random() * 1e9, Math.random() * 1e9);
    return types('aws');
  };
  expect(await read(`${HEADER}one,here,1\n`)).toEqual(['one']);
  const dir = join(home, 'cache', 'catalogs');
  const [kept] = readdirSync(dir);
  expect(await read(`${HEADER}one,here,1\n`)).toEqual(['one']);
  expect(await read(`${HEADER}two,here,1\n`)).toEqual(['two']);
  expect(readdirSync(dir)).toEqual([kept]);
  const file = join(dir, kept as string);
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.slice(0, text.length / 2));
  expect(await read(`${HEADER}two,here,1\n`)).toEqual(['two']);
  writeFileSync(file, text.replace('"two"', '"six"'));
  expect(await read(`${HEADER}two,here,1\n`), 'what is kept is used').toEqual(['six']);
});

test('an unknown cloud is refused with the nearest name, and a directory with its path', async () => {
  await expect(catalog('awss', home)).rejects.toMatchObject({ kind: 'invalid', hint: 'Did you mean aws?' });
  await expect(catalog('../aws', home)).rejects.toMatchObject({ kind: 'invalid' });
  mkdirSync(join(own, 'gcp.csv'));
  await expect(catalog('gcp', home)).rejects.toThrow(`${join(own, 'gcp.csv')} is not a file`);
});
