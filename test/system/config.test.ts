import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError } from '../../model/config/error.ts';
import { DEFAULT_CONFIG } from '../../model/config/values.ts';
import { type LoadOptions, loadConfig } from '../../system/config.ts';

let dir: string;
let base: LoadOptions;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'styx-config-'));
  const env = { SKYPILOT_GLOBAL_CONFIG: file('sky/config.yaml', ''), SKYPILOT_PROJECT_CONFIG: '' };
  base = { home: join(dir, 'home'), project: join(dir, 'project'), env };
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function file(name: string, text: string): string {
  mkdirSync(dirname(join(dir, name)), { recursive: true });
  writeFileSync(join(dir, name), text);
  return join(dir, name);
}

const workspace = async (options: LoadOptions = {}) => (await loadConfig({ ...base, ...options })).config.workspace;

describe('the configuration', () => {
  test('is the default where nothing is configured', async () => {
    expect(await loadConfig(base)).toEqual({ config: DEFAULT_CONFIG, settings: [], warning: null });
  });

  test("is read from SkyPilot's user file, its project file, ours of the user, ours of the project, and options", async () => {
    file('sky/config.yaml', 'active_workspace: one');
    expect(await workspace()).toBe('one');
    file('project/.sky.yaml', 'active_workspace: two');
    expect(await workspace()).toBe('two');
    file('home/config.yaml', 'active_workspace: three');
    expect(await workspace()).toBe('three');
    file('project/.styx.yaml', 'active_workspace: four');
    expect(await workspace()).toBe('four');
    const given = file('given.yaml', 'active_workspace: five\n');
    expect(await workspace({ options: [given] })).toBe('five');
    expect(await workspace({ options: [given, 'active_workspace=six'] })).toBe('six');
    expect(await workspace({ options: ['active_workspace=six', given] })).toBe('five');
    expect(await workspace({ project: null })).toBe('three');
  });

  test('of a project is that of its directory, not of one above', async () => {
    file('project/.styx.yaml', 'active_workspace: above');
    mkdirSync(join(dir, 'project', 'below'));
    expect(await workspace({ project: join(dir, 'project', 'below') })).toBe('default');
  });

  test("has SkyPilot's project file where the environment says", async () => {
    const env = { ...base.env, SKYPILOT_PROJECT_CONFIG: file('elsewhere.yaml', 'active_workspace: there') };
    file('project/.sky.yaml', 'active_workspace: here');
    expect(await workspace({ env })).toBe('there');
  });

  test('that the environment names and that is not there is an error', async () => {
    const env = { SKYPILOT_GLOBAL_CONFIG: join(dir, 'nowhere.yaml') };
    await expect(loadConfig({ ...base, env })).rejects.toThrow(
      `SKYPILOT_GLOBAL_CONFIG names ${join(dir, 'nowhere.yaml')}, which does not exist`,
    );
  });

  test('that cannot be read is an error that names it', async () => {
    mkdirSync(join(dir, 'home', 'config.yaml'), { recursive: true });
    await expect(loadConfig(base)).rejects.toThrow(`cannot read the configuration ${join(dir, 'home/config.yaml')}`);
  });

  test('tells what is wrong with all files and options at once', async () => {
    file('home/config.yaml', 'codec: maybe\nfoo: 1\n');
    file('project/.styx.yaml', 'a: 1\na: 2\n');
    const failure = await loadConfig({ ...base, options: ['codec=no', 'nothing'] }).catch((error) => error);
    expect(failure).toBeInstanceOf(ConfigError);
    expect(failure.message.split('\n')).toEqual([
      `${join(dir, 'home/config.yaml')}:1:8: codec: must be required or optional, not "maybe"`,
      `${join(dir, 'home/config.yaml')}:2:1: foo: unknown key`,
      `${join(dir, 'project/.styx.yaml')}:2:1: duplicate key "a" (lines 1 and 2)`,
      '--config codec: must be required or optional, not false',
      '--config nothing: is neither a file that exists nor of the form key=value',
    ]);
  });
});
