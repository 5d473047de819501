import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../client/connect.ts';
import { parseTask } from '../../model/parse-task.ts';
import { resourcesText } from '../../model/resources-text.ts';
import type { WrittenTask } from '../../model/task.ts';
import { World } from '../harness/world.ts';
import { Story } from './story.ts';

let world: World;
let story: Story;
beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
});
afterAll(async () => {
  await story.nothingLeft();
  await world.end();
});

const PLAIN = parseTask("run: 'true'", { file: 'test.yaml' });

/** Values that would do something if any shell, printf, YAML or JSON on the way read them. `mark` is made when one is executed. */
function hostile(mark: string): Record<string, string> {
  return {
    COMMAND: `$(touch ${mark})`,
    BACKTICKS: `\`touch ${mark}\``,
    ENDS_QUOTES: `'; touch ${mark}; echo '`,
    ENDS_DOUBLE: `"; touch ${mark}; echo "`,
    CHAINED: `x; touch ${mark} & touch ${mark} | touch ${mark} && touch ${mark}`,
    REDIRECTS: `> ${mark} < /dev/null 2>&1`,
    EXPANDS: `$HOME \${HOME} $((1+1)) $'\\x41' ~ * ? [a-z] {a,b} !! !$`,
    BACKSLASHES: `\\ \\\\ \\n \\' \\" \\$(touch ${mark}) \\`,
    LINES: `first\nsecond\n\ntouch ${mark}\n`,
    RETURNS: 'a\rb\r\nc',
    TABS: '\ta\t b \v\f ',
    HERE: `EOF\nEND\ntouch ${mark}\n'EOF'\n`,
    PERCENT: '%s %d %n %% %x$s',
    UNICODE: 'größer 日本語 🚀 \u202e\u200b\u0301 \ufeff',
    CONTROL: '\x01\x02\x07\x08\x1b[31m\x7f',
    EMPTY: '',
    DASHES: '-rf --help -- -',
    HASH: '# not a comment',
    EQUALS: '=a=b= c=d',
    TEMPLATE: '{{secrets}} <%= 1 %> #{x}',
    SHOCK: `() { :; }; touch ${mark}`,
    LONG: 'x'.repeat(60_000),
  };
}

/** A job that writes its whole environment to a file, raw. */
async function environmentOf(task: WrittenTask): Promise<Map<string, string>> {
  const file = join(world.home, `environ-${Math.random().toString(36).slice(2)}`);
  const run = `cat /proc/self/environ > ${file}`;
  const { jobId } = await story.clusters.exec('h', { ...task, run });
  await story.jobEnds('h', jobId, 'SUCCEEDED');
  const entries = readFileSync(file, 'utf8').split('\0').filter(Boolean);
  return new Map(entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]));
}

describe('on a cluster', () => {
  beforeAll(async () => {
    await story.up('h', 'num_nodes: 1', {
      commandLine: `styx launch $(touch ${world.home}/m-line) \`touch ${world.home}/m-line\` 'a"b\n🚀`,
    });
  });
  afterAll(() => story.down('h'));

  test('values of environment variables arrive byte for byte and are never executed', async () => {
    const mark = join(world.home, 'm-env');
    const envs = hostile(mark);
    const seen = await environmentOf({ ...PLAIN, envs });
    expect(Object.fromEntries(Object.keys(envs).map((name) => [name, seen.get(name)]))).toEqual(envs);
    expect(existsSync(mark)).toBe(false);
  });

  test('the same values survive YAML and a file of variables', async () => {
    const mark = join(world.home, 'm-yaml');
    // YAML takes what JSON writes; control characters are escaped there.
    const envs = Object.fromEntries(Object.entries(hostile(mark)).filter(([name]) => name !== 'LONG'));
    const task = parseTask(`envs: ${JSON.stringify(envs)}\nrun: 'true'`, { file: 'test.yaml' });
    const seen = await environmentOf(task);
    expect(Object.fromEntries(Object.keys(envs).map((name) => [name, seen.get(name)]))).toEqual(envs);
    expect(existsSync(mark)).toBe(false);
  });

  test.each(['$(touch x)', 'A B', 'A;B', 'A\nB', '1A', '', 'A-B', 'Ä', 'A=B', '`x`', "A'", 'A[0]'])(
    'an environment variable cannot be named %j',
    (name) => {
      const yaml = `envs: {${JSON.stringify(name)}: value}\nrun: 'true'`;
      expect(() => parseTask(yaml, { file: 'test.yaml' })).toThrowError(/envs/);
    },
  );

  test('a variable whose name got past the parser is refused by the cluster, and no job is made of it', async () => {
    const mark = join(world.home, 'm-name');
    const envs = { [`X=$(touch ${mark}); touch ${mark} #`]: 'value' };
    const before = (await story.look('h')).jobs.length;
    const sent = story.clusters.exec('h', { ...PLAIN, envs, run: `touch ${mark}` });
    await expect(sent).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('environment variable'),
    });
    expect((await story.look('h')).jobs.length).toBe(before);
    expect(existsSync(mark)).toBe(false);
  });

  test('a user whose name is a command stays a name, in the job as in the view', async () => {
    const mark = join(world.home, 'm-user');
    const user = `$(touch ${mark}) \`touch ${mark}\` '; touch ${mark}; ' "x" \n ü🚀`;
    const other = await connect({ home: world.home, startServer: false, user });
    const file = join(world.home, 'user');
    const task = { ...PLAIN, run: `printf %s "$SKYPILOT_USER" > ${file}` };
    const { jobId } = await other.clusters.exec('h', task, { commandLine: `styx exec $(touch ${mark})` });
    await other.close();
    const job = await story.jobEnds('h', jobId, 'SUCCEEDED');
    expect(job.user).toBe(user);
    expect(readFileSync(file, 'utf8')).toBe(user);
    expect(existsSync(mark)).toBe(false);
  });

  test('a script is one script, whatever it quotes', async () => {
    const file = join(world.home, 'script');
    const run = [
      `cat > ${file} <<'EOF'`,
      `$(not run) \`nor this\` 'a' "b" \\ $HOME`,
      'größer 日本語 🚀',
      'EOF',
      `printf '%s\\n' 'it'"'"'s' >> ${file}`,
      'exit 0',
      `touch ${world.home}/m-script`,
    ].join('\n');
    const { jobId } = await story.clusters.exec('h', { ...PLAIN, run });
    await story.jobEnds('h', jobId, 'SUCCEEDED');
    expect(readFileSync(file, 'utf8')).toBe("$(not run) `nor this` 'a' \"b\" \\ $HOME\ngrößer 日本語 🚀\nit's\n");
    expect(existsSync(join(world.home, 'm-script'))).toBe(false);
  });

  test('a script with what looks like the end of a quote or of a file runs to its end', async () => {
    const file = join(world.home, 'odd');
    const odd = `: '\nEOF\n'; : "\nEND\n"; : \\\n;\necho end > ${file}`;
    const { jobId } = await story.clusters.exec('h', { ...PLAIN, setup: null, run: odd.replace('\\\n;', '') });
    await story.jobEnds('h', jobId, 'SUCCEEDED');
    expect(readFileSync(file, 'utf8')).toBe('end\n');
  });

  test('how a command was asked is text for people, kept as it was', async () => {
    const mark = join(world.home, 'm-line');
    const commandLine = `styx exec h $(touch ${mark}) \`touch ${mark}\` 'a"b\n🚀 \x1b[31m`;
    const { jobId } = await story.clusters.exec('h', PLAIN, { commandLine });
    await story.jobEnds('h', jobId, 'SUCCEEDED');
    expect((await story.look('h')).lastUse).toBe(commandLine);
    expect((await story.clusters.summary('h'))?.lastUse).toBe(commandLine);
    expect(existsSync(mark)).toBe(false);
  });

  test('a log is what the job wrote, byte for byte', async () => {
    const bytes = Buffer.from([
      0, 1, 2, 27, 91, 51, 49, 109, 127, 128, 255, 254, 13, 10, 37, 115, 92, 110, 39, 34, 96, 10,
    ]);
    const file = join(world.home, 'bytes');
    writeFileSync(file, bytes);
    const { jobId } = await story.clusters.exec('h', { ...PLAIN, run: `cat ${file}` });
    await story.jobEnds('h', jobId, 'SUCCEEDED');
    const pieces: Buffer[] = [];
    for await (const { data } of world.styx.logs('h', { jobId: jobId ?? 0, tail: 0 })) pieces.push(data);
    expect(Buffer.concat(pieces)).toEqual(bytes);
  });
});

const BAD_NAMES = [
  '$(touch x)',
  '`x`',
  'a b',
  "a'b",
  'a"b',
  'a;b',
  'a\nb',
  '../x',
  'a/b',
  '-a',
  '.a',
  'ü',
  '🚀',
  '',
  'a'.repeat(101),
  'a\0b',
  'a%s',
  'a*',
];

describe('is refused with a reason', () => {
  test.each(BAD_NAMES)('a cluster named %j', async (name) => {
    const launch = story.clusters.launch({ name, task: PLAIN, resourcesText: resourcesText(PLAIN) });
    await expect(launch).rejects.toMatchObject({ kind: 'invalid', message: expect.stringContaining('cluster name') });
  });

  test.each(BAD_NAMES)('a task named %j', (name) => {
    expect(() => parseTask(`name: ${JSON.stringify(name)}\nrun: 'true'`, { file: 'test.yaml' })).toThrowError(/name/);
  });

  test.each(BAD_NAMES)('a workspace named %j', async (workspace) => {
    await expect(connect({ home: world.home, startServer: false, workspace })).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('workspace name'),
    });
  });

  test.each(['$(touch x)/local', 'local/$(touch x)', 'local/local/`x`', 'local/local/a b', "local/'x'"])(
    'a place named %j',
    async (infra) => {
      const yaml = `resources: {infra: ${JSON.stringify(infra)}}\nrun: 'true'`;
      const offers = async () => world.cloud.offers(parseTask(yaml, { file: 'test.yaml' }).resources);
      await expect(offers()).rejects.toThrowError(/infra|local has no/);
    },
  );
});
