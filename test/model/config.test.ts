import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { resolveConfig } from '../../model/config/config.ts';
import { ConfigError, type ConfigProblem } from '../../model/config/error.ts';
import { type ConfigLayer, type ConfigSource, fileLayer, optionLayer } from '../../model/config/layers.ts';
import { mergeLayers, plainMerged, settingsOf } from '../../model/config/merge.ts';
import { holds } from './holds.ts';

const SKYPILOT: ConfigSource = { name: '~/.sky/config.yaml', kind: 'skypilot' };
const OURS: ConfigSource = { name: '~/.styx/config.yaml', kind: 'styx' };

function layer(text: string, source: ConfigSource = OURS): ConfigLayer {
  const problems: ConfigProblem[] = [];
  const read = fileLayer(text, source, problems);
  if (read === null) throw new ConfigError(problems);
  return read;
}

function option(argument: string): ConfigLayer {
  const problems: ConfigProblem[] = [];
  const read = optionLayer('--config', argument, problems);
  if (read === null) throw new ConfigError(problems);
  return read;
}

/** The lines of the error. */
function faults(read: () => unknown): string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

/** Trees of free maps, as a section that takes any key has them. */
const tree: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.integer({ min: 0, max: 9 }),
    fc.constantFrom('x', 'y'),
    fc.constant(null),
    fc.array(fc.nat(3), { maxLength: 3 }),
  ),
  map: fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.oneof({ depthSize: 'small' }, tie('leaf'), tie('map')), {
    maxKeys: 3,
    noNullPrototype: true,
  }),
})).map;

/** What SkyPilot does: maps key by key, anything else is replaced. */
function laid(below: unknown, above: unknown): unknown {
  const isMap = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap(above)) return above;
  const merged: Record<string, unknown> = isMap(below) ? { ...below } : {};
  for (const [key, value] of Object.entries(above)) merged[key] = laid(merged[key], value);
  return merged;
}

const plain = (value: unknown) => JSON.parse(JSON.stringify(value));

describe('layers', () => {
  test('are laid over each other key by key, and of each value the highest layer that says it is told', () => {
    const law = fc.property(fc.array(tree, { minLength: 1, maxLength: 6 }), (trees) => {
      const layers = trees.map((held, index) =>
        layer(JSON.stringify({ plugins: held }), { name: `layer-${index}`, kind: index < 2 ? 'skypilot' : 'styx' }),
      );
      const merged = mergeLayers(layers);
      expect(plain(plainMerged(merged))).toEqual(trees.map((plugins) => ({ plugins })).reduce(laid, {}));
      for (const { path, value, source } of settingsOf(merged)) {
        const said = trees.map((plugins) => at({ plugins }, path));
        const last = said.findLastIndex((one) => one !== undefined);
        expect(source.name).toBe(`layer-${last}`);
        expect(value).toEqual(said[last]);
      }
    });
    holds(law, 500);
  });

  test('have the order that is documented, whichever of them say something', () => {
    const names = ['sky-user', 'sky-project', 'user', 'project', 'option'];
    const law = fc.property(
      fc.subarray(names, { minLength: 1 }),
      fc.constantFrom('active_workspace', 'workspace'),
      (said, key) => {
        const layers = said.map((name, index) =>
          name === 'option'
            ? option(`active_workspace=${name}`)
            : layer(`${index % 2 === 0 ? key : 'active_workspace'}: ${name}`, {
                name,
                kind: name.startsWith('sky') ? 'skypilot' : 'styx',
              }),
        );
        expect(resolveConfig(layers).config.workspace).toBe(said.at(-1));
      },
    );
    holds(law, 200);
  });

  test('replace lists, and take back with nothing what lower ones say', () => {
    const below = layer('allowed_clouds: [aws, GCP]\nprovision: {ssh_timeout: 30, install_conda: true}\n');
    expect(resolveConfig([below]).config).toMatchObject({ allowedClouds: ['aws', 'gcp'], sshTimeout: 30 });
    const above = layer('allowed_clouds: [local]\nprovision:\n  ssh_timeout:\n');
    const { config, settings } = resolveConfig([below, above, option('active_workspace=team')]);
    expect(config).toEqual({
      allowedClouds: ['local'],
      workspace: 'team',
      sshTimeout: 10,
      installConda: true,
      codec: null,
      sweepFix: false,
      sweepMax: null,
      budget: null,
      clouds: {},
      jobSilence: 300,
      maxLaunchingJobs: 16,
      maxRunningJobs: 2_000,
      jobLogsDirectory: null,
      jobLogsStore: null,
      jobLogsEndpoint: null,
      jobLogsKeep: 30,
      jobLogsMaxMb: 100,
      notifications: [],
      maxLaunchingPerUser: null,
      maxRunningPerUser: null,
      maxHourlyCost: null,
    });
    expect(settings.map(({ path, source, line }) => [path.join('.'), source.name, line])).toEqual([
      ['allowed_clouds', '~/.styx/config.yaml', 1],
      ['provision.ssh_timeout', '~/.styx/config.yaml', 3],
      ['provision.install_conda', '~/.styx/config.yaml', 2],
      ['active_workspace', '--config', null],
    ]);
    expect(resolveConfig([below, option('allowed_clouds=null')]).config.allowedClouds).toBeNull();
    const clouds = [layer('aws: {vpc_name: a, use_internal_ips: true}\n'), layer('aws: {vpc_name: b}\n')];
    expect(resolveConfig(clouds).config.clouds).toEqual({ aws: { vpc_name: 'b', use_internal_ips: true } });
  });
});

describe('a file of Styx', () => {
  test('that is wrong is told with every place, path, expectation and the nearest right word, at once', () => {
    const text = [
      'allowed_cluods: [local]',
      'active_workspace: "-no"',
      'provision:',
      '  ssh_timeot: 3',
      '  install_conda: maybe',
      'allowed_clouds: [local, awz]',
      'kubernetes: {provision_timeout: soon}',
      'codec: requird',
    ].join('\n');
    const at = (place: string, says: string) => expect.stringContaining(`~/.styx/config.yaml:${place}: ${says}`);
    expect(faults(() => layer(text))).toEqual([
      at('1:1', 'allowed_cluods: unknown key; did you mean "allowed_clouds"?'),
      at('2:19', 'active_workspace: "-no" must begin with a letter'),
      at('4:3', 'provision.ssh_timeot: unknown key; did you mean "ssh_timeout"?'),
      at('5:18', 'provision.install_conda: must be true or false, not "maybe"'),
      at('6:25', 'allowed_clouds.1: "awz" is not a name of a cloud; did you mean "aws"?'),
      at('7:33', 'kubernetes.provision_timeout: must be a number, not "soon"'),
      at('8:8', 'codec: must be required or optional, not "requird"; did you mean "required"?'),
    ]);
  });

  test.each([
    ['codec: required\ncodec: optional\n', '~/.styx/config.yaml:2:1: duplicate key "codec" (lines 1 and 2)'],
    ['- local\n', '~/.styx/config.yaml:1:1: must be a map of keys, such as "allowed_clouds: [local]"'],
    ['codec: required\n---\ncodec: optional\n', '~/.styx/config.yaml:3:1: a configuration is one document'],
    [
      'workspace: a\nactive_workspace: b\n',
      '~/.styx/config.yaml:1:12: workspace: is another name of active_workspace, which is something else in line 2',
    ],
  ])('is refused when it is %j', (text, says) => {
    expect(faults(() => layer(text))).toEqual([says]);
  });

  test('of more than a megabyte is refused before it is read', () => {
    const said = '~/.styx/config.yaml:1:1: holds more than 1024 kB';
    expect(faults(() => layer(`x: ${'y'.repeat(1024 * 1024)}`))).toEqual([said]);
  });

  test('may hold nothing', () => {
    for (const text of ['', '# nothing\n', '{}', '~', 'provision:\njobs:\n  controller:\n']) {
      expect(resolveConfig([layer(text)]).warning).toBeNull();
    }
  });
});

describe('an option', () => {
  test.each([
    ['codec', '--config codec: is neither a file that exists nor of the form key=value'],
    ['=x', '--config =x: is not a key, such as provision.ssh_timeout'],
    ['a..b=x', '--config a..b: is not a key, such as provision.ssh_timeout'],
    ['codec=', '--config codec: has no value; null takes back what files say'],
    ['codec=[', expect.stringMatching(/^--config codec: /)],
    ['provision.ssh_timeout=0', '--config provision.ssh_timeout: must be a whole number from 1, not 0'],
    ['provision.timeout=3', expect.stringMatching(/^--config provision\.timeout: unknown key/)],
  ])('is refused when it is %j', (argument, says) => {
    expect(faults(() => option(argument))).toEqual([says]);
  });

  test('has its value read as YAML', () => {
    expect(resolveConfig([option('allowed_clouds=[local, aws]')]).config.allowedClouds).toEqual(['local', 'aws']);
    expect(resolveConfig([option('provision={ssh_timeout: 7}')]).config.sshTimeout).toBe(7);
    expect(() => option('active_workspace=a=b')).toThrow('"a=b" must begin with a letter');
  });
});

describe("SkyPilot's file", () => {
  test('is taken as it is: what nobody knows or does is named in one line, by file', () => {
    const file = layer(
      'allowed_clouds: [AWS]\nbogus: {a: 1, b: 2}\njobs: {controller: {resources: {cpus: 4+}, oops: 1}}\nrbac: {default_role: 7}\nworkspace: ignored\nactive_workspace: real\n',
      SKYPILOT,
    );
    const { config, warning } = resolveConfig([
      file,
      layer('admin_policy: http://x\n'),
      option('docker.run_options=-v'),
      option('db=x'),
    ]);
    expect(config).toMatchObject({ allowedClouds: ['aws'], workspace: 'real' });
    expect(warning).toBe(
      'Configuration not carried out yet: jobs.controller, rbac.default_role (~/.sky/config.yaml); ' +
        'admin_policy (~/.styx/config.yaml); docker.run_options, db (--config); ' +
        'unknown: jobs.controller.oops, bogus (~/.sky/config.yaml)',
    );
  });

  test('is refused where a value that is used is wrong, since nobody could have meant it', () => {
    expect(faults(() => layer('allowed_clouds: [awz]\n', SKYPILOT))).toEqual([
      expect.stringMatching(/^~\/\.sky\/config\.yaml:1:18: allowed_clouds\.0: "awz" is not a name of a cloud/),
    ]);
    expect(faults(() => layer('codec: a\ncodec: b\n', SKYPILOT))).toHaveLength(1);
  });
});

test('no text makes reading a configuration throw anything but its problems', () => {
  const word = fc.constantFrom(
    'allowed_clouds',
    'provision',
    'ssh_timeout',
    'jobs',
    'workspace',
    '[',
    ']',
    '{',
    '}',
    ':',
    ' ',
    '\n',
    '-',
    '&a',
    '*a',
    '1',
    'null',
    '"',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(word, { maxLength: 30 }).map((words) => words.join('')),
  );
  const law = fc.property(text, fc.constantFrom(SKYPILOT, OURS), (written, source) => {
    const problems: ConfigProblem[] = [];
    const read = fileLayer(written, source, problems);
    expect(read === null).toBe(problems.length > 0);
    if (read !== null) resolveConfig([read]);
    optionLayer('--config', written, []);
  });
  holds(law, 1000);
});

/** undefined: nothing there, or a map, which layers share. */
function at(tree: unknown, path: readonly string[]): unknown {
  let held = tree;
  for (const step of path) {
    if (typeof held !== 'object' || held === null || Array.isArray(held)) return undefined;
    held = (held as Record<string, unknown>)[step];
  }
  return typeof held === 'object' && held !== null && !Array.isArray(held) ? undefined : held;
}
