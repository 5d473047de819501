/** ENTRYPOINT and the options that change it, as a task. */
import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { StyxError } from '../model/errors.ts';
import {
  commandJob,
  commandPooledJob,
  commandSpec,
  commandTask,
  parseJob,
  parsePool,
  parsePooledJob,
  parseTask,
  parseTaskFile,
  type WrittenJob,
  type WrittenPool,
} from '../model/parse-task.ts';
import type { TaskFile } from '../model/spec/file.ts';
import type { TaskOverrides } from '../model/spec/overrides.ts';
import type { AutostopRule, WrittenTask } from '../model/task.ts';
import { collect, wholeNumber } from './options.ts';

export interface TaskOptions {
  readonly name?: string;
  readonly workdir?: string;
  readonly gitUrl?: string;
  readonly gitRef?: string;
  readonly infra?: string;
  readonly cloud?: string;
  readonly region?: string;
  readonly zone?: string;
  readonly numNodes?: string;
  readonly cpus?: string;
  readonly memory?: string;
  readonly gpus?: string;
  readonly instanceType?: string;
  readonly useSpot?: boolean;
  readonly imageId?: string;
  readonly diskSize?: string;
  readonly diskTier?: string;
  readonly networkTier?: string;
  readonly localDisk?: string;
  readonly ports?: readonly string[];
  readonly env?: readonly string[];
  readonly envFile?: string;
  readonly secret?: readonly string[];
  readonly secretFile?: string;
  readonly priority?: string;
}

/** An option of older times, left out of help. */
function legacy(flags: string, description: string): Option {
  return new Option(flags, description).hideHelp();
}

export function taskOptions(command: Command): Command {
  return command
    .option('-n, --name <name>', 'name of the job')
    .option('--workdir <dir>', 'directory that the job finds in ~/sky_workdir, as it is now')
    .option('--git-url <url>', 'git repository as the workdir')
    .option('--git-ref <ref>', 'its branch, tag or commit')
    .option('--infra <infra>', 'where: cloud, cloud/region or cloud/region/zone; * for any')
    .addOption(legacy('--cloud <cloud>', 'a cloud'))
    .addOption(legacy('--region <region>', 'a region'))
    .addOption(legacy('--zone <zone>', 'a zone'))
    .option('--num-nodes <n>', 'number of nodes')
    .option('--cpus <n>', 'vCPUs of each node: 4, or 4+ for at least 4')
    .option('--memory <GB>', 'memory of each node: 16, or 16+ for at least 16')
    .option('--gpus <name[:n]>', 'GPUs of each node: A100, A100:8')
    .option('-t, --instance-type <type>', 'instance type of the cloud')
    .option('--use-spot', 'use spot instances')
    .option('--no-use-spot', 'use on-demand instances')
    .option('--image-id <image>', 'image of the machines, docker:IMAGE for a container')
    .option('--disk-size <GB>', 'size of the disk: 100, 500GB, 1TB')
    .option('--disk-tier <tier>', 'speed of the disk: low, medium, high, ultra, best')
    .option('--network-tier <tier>', 'speed of the network: standard, best')
    .option('--local-disk <disk>', "the machine's own disk: nvme, 500+, nvme:1000+, ssd:500")
    .option('--ports <ports>', 'ports that are reachable: 8080, 8080-8090; may be repeated', collect)
    .option('--env <K=V>', 'environment variable; K alone takes the value from here; may be repeated', collect)
    .option('--env-file <file>', 'file of K=V lines; --env goes before it')
    .option('--secret <K=V>', 'the same for a value that nobody else sees; K alone keeps it out of `ps`', collect)
    .option('--secret-file <file>', 'file of K=V lines of secrets; --secret goes before it')
    .option('--priority <n>', 'from -1000 to 1000, higher first; or the name of a class');
}

export interface AutostopOptions {
  readonly idleMinutesToAutostop?: number;
  readonly down?: boolean;
  readonly waitFor?: AutostopRule['waitFor'];
}

export function autostopOptions(command: Command, idle = '-i, --idle-minutes-to-autostop <minutes>'): Command {
  return command
    .option(idle, 'stop the cluster after this many idle minutes', wholeNumber(0, 1_000_000))
    .option('--down', 'end the cluster instead of stopping it')
    .addOption(new Option('--wait-for <what>', 'what counts as activity').choices(['jobs_and_ssh', 'jobs', 'none']));
}

/** undefined: nothing was said. `base` gives what was not. 0 minutes become 1, as in SkyPilot. */
export function autostopRule(options: AutostopOptions, base: AutostopRule | null): AutostopRule | undefined {
  const { idleMinutesToAutostop: idle, down, waitFor } = options;
  if (idle === undefined && down === undefined) {
    if (waitFor === undefined) return undefined;
    throw new StyxError('invalid', '--wait-for needs --idle-minutes-to-autostop or --down');
  }
  return {
    idleMinutes: Math.max(1, idle ?? base?.idleMinutes ?? 1),
    down: down ?? false,
    waitFor: waitFor ?? base?.waitFor ?? 'jobs_and_ssh',
  };
}

/** A YAML file (`-`: stdin), a shell command of one or more words, or nothing (machines only). @throws invalid */
export function readTask(entrypoint: readonly string[], options: TaskOptions): WrittenTask {
  const overrides = overridesOf(options);
  const file = readFile(entrypoint);
  return file === null
    ? commandTask(commandOf(entrypoint), overrides)
    : parseTask(file.text, { file: file.name, overrides });
}

/** The same, to be carried out as a managed job; `pooled`: on a worker of a pool. @throws invalid */
export function readJob(entrypoint: readonly string[], options: TaskOptions, pooled = false): WrittenJob {
  const overrides = overridesOf(options);
  const file = readFile(entrypoint);
  if (file === null) return (pooled ? commandPooledJob : commandJob)(commandOf(entrypoint), overrides);
  return (pooled ? parsePooledJob : parseJob)(file.text, { file: file.name, overrides });
}

/** A pool, which is always of a file. @throws invalid */
export function readPool(entrypoint: readonly string[], options: TaskOptions): WrittenPool {
  const file = readFile(entrypoint);
  if (file === null) {
    throw new StyxError('invalid', `'${entrypoint.join(' ')}' is not a task file: its name ends in .yaml or .yml`);
  }
  return parsePool(file.text, { file: file.name, overrides: overridesOf(options) });
}

/** The same, whether this version carries it out or not; a file may hold several tasks. @throws invalid */
export function readSpecs(entrypoint: readonly string[], options: TaskOptions): TaskFile {
  const overrides = overridesOf(options);
  const file = readFile(entrypoint);
  return file === null
    ? { kind: 'task', task: commandSpec(commandOf(entrypoint), overrides) }
    : parseTaskFile(file.text, { file: file.name, overrides });
}

function overridesOf(options: TaskOptions): TaskOverrides {
  const { env, envFile, secret, secretFile, ...plain } = options;
  const fromFile = envFile === undefined ? {} : readEnvFile(envFile, 'env file');
  const secretsFromFile = secretFile === undefined ? {} : readEnvFile(secretFile, 'secret file');
  return {
    ...plain,
    envs: { ...fromFile, ...readVariables('--env', env) },
    secrets: { ...secretsFromFile, ...readVariables('--secret', secret) },
    secretDefaults: fromFile,
  };
}

/** null: the entrypoint is a command, or nothing. @throws invalid */
function readFile(entrypoint: readonly string[]): { name: string; text: string } | null {
  const [first] = entrypoint;
  if (first === undefined || entrypoint.length > 1 || (first !== '-' && !/\.ya?ml$/i.test(first))) return null;
  const name = first === '-' ? 'stdin' : first;
  return { name, text: readText(first === '-' ? 0 : first, `task file ${name}`) };
}

function commandOf(entrypoint: readonly string[]): string | null {
  return entrypoint.length === 0 ? null : entrypoint.join(' ');
}

/** @throws invalid */
export function readText(file: string | number, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new StyxError('invalid', code === 'ENOENT' ? `${what} does not exist` : `cannot read ${what}: ${message}`, {
      cause: error,
    });
  }
}

function readEnvFile(file: string, what: string): Record<string, string> {
  return Object.fromEntries(parseEnvFile(readText(file, `${what} ${file}`), file));
}

function readVariables(option: string, given: readonly string[] = []): Record<string, string> {
  const variables: [string, string][] = [];
  for (const one of given) {
    const equals = one.indexOf('=');
    if (equals > 0) variables.push([one.slice(0, equals), one.slice(equals + 1)]);
    else {
      const value = process.env[one];
      if (equals === 0 || value === undefined) {
        const shown = equals === 0 ? '=...' : one;
        throw new StyxError('invalid', `${option} ${shown}: no such variable is set here`, {
          hint: `Write ${option} NAME=VALUE.`,
        });
      }
      variables.push([one, value]);
    }
  }
  return Object.fromEntries(variables);
}

/** Lines `K=V`, `export K=V`; values may be in single or double quotes; `#` begins a comment line. @throws invalid */
export function parseEnvFile(text: string, file: string): [string, string][] {
  const envs: [string, string][] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const match = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/.exec(line);
    if (match === null) throw new StyxError('invalid', `${file}:${index + 1}: not of the form NAME=VALUE`);
    const [, name = '', value = ''] = match;
    const quoted = /^(["'])(.*)\1$/.exec(value);
    envs.push([name, quoted?.[2] ?? value]);
  }
  return envs;
}

/** The command line for people, with values of variables left out: they may be secret. */
export function commandLineText(argv: readonly string[]): string {
  const shown: string[] = [];
  let hidesNext = false;
  for (const arg of argv) {
    const secret = hidesNext || /^--(?:env|secret)=/.test(arg);
    const text = secret ? arg.replace(/^((?:--(?:env|secret)=)?[^=]*=)[\s\S]*$/, '$1...') : arg;
    shown.push(/^[\w@%+=:,./*-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
    hidesNext = arg === '--env' || arg === '--secret';
  }
  return `styx ${shown.join(' ')}`;
}
