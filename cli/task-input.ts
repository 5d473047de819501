/** ENTRYPOINT and the options that change it, as a task. */
import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { StyxError } from '../model/errors.ts';
import { commandTask, parseTask } from '../model/parse-task.ts';
import type { AutostopRule, Task } from '../model/task.ts';
import type { TaskOverrides } from '../model/task-overrides.ts';
import { collect, wholeNumber } from './options.ts';

export interface TaskOptions {
  readonly name?: string;
  readonly infra?: string;
  readonly numNodes?: string;
  readonly cpus?: string;
  readonly memory?: string;
  readonly gpus?: string;
  readonly instanceType?: string;
  readonly useSpot?: boolean;
  readonly env?: readonly string[];
  readonly envFile?: string;
  readonly priority?: string;
  readonly workdir?: string;
}

export function taskOptions(command: Command): Command {
  return command
    .option('-n, --name <name>', 'name of the job')
    .option('--workdir <dir>', 'directory that the job finds in ~/sky_workdir, as it is now')
    .option('--infra <infra>', 'where: cloud, cloud/region or cloud/region/zone; * for any')
    .option('--num-nodes <n>', 'number of nodes')
    .option('--cpus <n>', 'vCPUs of each node: 4, or 4+ for at least 4')
    .option('--memory <GB>', 'memory of each node: 16, or 16+ for at least 16')
    .option('--gpus <name[:n]>', 'GPUs of each node: A100, A100:8')
    .option('-t, --instance-type <type>', 'instance type of the cloud')
    .option('--use-spot', 'use spot instances')
    .option('--no-use-spot', 'use on-demand instances')
    .option('--env <K=V>', 'environment variable; K alone takes the value from here; may be repeated', collect)
    .option('--env-file <file>', 'file of K=V lines; --env goes before it')
    .option('--priority <n>', 'from -1000 to 1000; higher first');
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
export function readTask(entrypoint: readonly string[], options: TaskOptions): Task {
  const overrides: TaskOverrides = {
    name: options.name,
    infra: options.infra,
    numNodes: options.numNodes,
    cpus: options.cpus,
    memory: options.memory,
    gpus: options.gpus,
    instanceType: options.instanceType,
    useSpot: options.useSpot,
    priority: options.priority,
    workdir: options.workdir,
    envs: readEnvs(options),
  };
  const [first] = entrypoint;
  if (first === undefined) return parseTask('{}', { file: 'command line', overrides });
  if (entrypoint.length === 1 && (first === '-' || /\.ya?ml$/i.test(first))) {
    const file = first === '-' ? 'stdin' : first;
    return parseTask(readText(first === '-' ? 0 : first, `task file ${file}`), { file, overrides });
  }
  return commandTask(entrypoint.join(' '), overrides);
}

function readText(file: string | number, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new StyxError('invalid', code === 'ENOENT' ? `${what} does not exist` : `cannot read ${what}: ${message}`, {
      cause: error,
    });
  }
}

function readEnvs(options: TaskOptions): Record<string, string> {
  const envs: [string, string][] = [];
  if (options.envFile !== undefined) {
    envs.push(...parseEnvFile(readText(options.envFile, `env file ${options.envFile}`), options.envFile));
  }
  for (const given of options.env ?? []) {
    const equals = given.indexOf('=');
    if (equals > 0) envs.push([given.slice(0, equals), given.slice(equals + 1)]);
    else {
      const value = process.env[given];
      if (equals === 0 || value === undefined) {
        throw new StyxError('invalid', `--env ${given}: no such variable is set here`, {
          hint: 'Write --env NAME=VALUE.',
        });
      }
      envs.push([given, value]);
    }
  }
  return Object.fromEntries(envs);
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
    const secret = hidesNext || arg.startsWith('--env=');
    const text = secret ? arg.replace(/^((?:--env=)?[^=]*=)[\s\S]*$/, '$1...') : arg;
    shown.push(/^[\w@%+=:,./*-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
    hidesNext = arg === '--env';
  }
  return `styx ${shown.join(' ')}`;
}
