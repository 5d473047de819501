/** Finds the `temporal` program, or gets it once into the cache. */
import { execFile } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { StyxError } from '../model/errors.ts';
import { styxCache } from '../system/home.ts';

const CLI_VERSION = '1.5.1';
/** Update-with-start and what else Styx builds on work since this server. */
const OLDEST_SERVER = [1, 28] as const;
/** When nothing has arrived by then, it will not. */
const DOWNLOAD_BEGIN_MS = 20_000;
const DOWNLOAD_MS = 3 * 60_000;
const BUILD_MS = 30 * 60_000;

export interface TemporalBinary {
  readonly path: string;
  /** Of the server inside, such as `1.29.1`. */
  readonly version: string;
}

type Progress = (message: string) => void;

/**
 * In this order: `temporal` on PATH when new enough, the cached one, a download by Temporal's SDK, a build by Go (about
 * five minutes, once).
 * @throws invalid when there is none and none can be got
 */
export async function findTemporal(onProgress: Progress = () => {}, env = process.env): Promise<TemporalBinary> {
  const cached = join(styxCache(env), `temporal-${CLI_VERSION}`, 'temporal');
  for (const path of [...onPath('temporal', env), cached]) {
    const version = await serverVersion(path);
    if (version !== null && isNewEnough(version)) return { path, version };
  }
  const problems: string[] = [];
  for (const get of [download, build]) {
    try {
      await get(cached, onProgress, env);
      const version = await serverVersion(cached);
      if (version !== null) return { path: cached, version };
      problems.push(`${cached} does not run`);
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  throw new StyxError('invalid', `no Temporal server: ${problems.join('; ')}`, {
    hint: `Install the Temporal CLI ${CLI_VERSION} or later (https://docs.temporal.io/cli) on your PATH, or set TEMPORAL_ADDRESS to a server.`,
  });
}

function onPath(program: string, env: NodeJS.ProcessEnv): string[] {
  const dirs = (env.PATH ?? '').split(delimiter).filter((dir) => dir !== '');
  return dirs.map((dir) => join(dir, program)).filter(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Null when the program does not run or is another. */
async function serverVersion(path: string): Promise<string | null> {
  if (!isExecutable(path)) return null;
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 20_000 });
    return /Server (\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? null;
  } catch {
    return null;
  }
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > OLDEST_SERVER[0] || (major === OLDEST_SERVER[0] && minor >= OLDEST_SERVER[1]);
}

/** The SDK downloads only to start: a process of its own starts a server from the download and ends it at once. */
const DOWNLOADER = `
import { TestWorkflowEnvironment } from '@temporalio/testing';
const executable = { type: 'cached-download', downloadDir: process.argv[1] };
await (await TestWorkflowEnvironment.createLocal({ server: { executable } })).teardown();
`;

/** On the same file system as the target, so that the finished program appears there in one step. */
function scratchBeside(target: string): string {
  mkdirSync(dirname(target), { recursive: true });
  return mkdtempSync(`${target}-`);
}

async function download(target: string, onProgress: Progress): Promise<void> {
  onProgress('downloading the Temporal server');
  const scratch = scratchBeside(target);
  const givenUp = new AbortController();
  const stalled = setTimeout(() => {
    if (readdirSync(scratch).length === 0) givenUp.abort();
  }, DOWNLOAD_BEGIN_MS);
  try {
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', DOWNLOADER, scratch], {
      cwd: dirname(import.meta.dirname),
      timeout: DOWNLOAD_MS,
      signal: givenUp.signal,
    });
    const name = readdirSync(scratch).find((entry) => entry.startsWith('temporal'));
    if (name === undefined) throw new Error('it left no program');
    renameSync(join(scratch, name), target);
  } catch (error) {
    throw new Error('the download did not work', { cause: error });
  } finally {
    clearTimeout(stalled);
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function build(target: string, onProgress: Progress, env: NodeJS.ProcessEnv): Promise<void> {
  const [go] = onPath('go', env).concat(['/usr/local/go/bin/go'].filter(isExecutable));
  if (go === undefined) throw new Error('Go is not installed, so it cannot be built');
  const scratch = scratchBeside(target);
  const started = Date.now();
  const report = () => {
    const minutes = Math.floor((Date.now() - started) / 60_000);
    onProgress(`building the Temporal server with Go, about 5 minutes, once (${minutes} min so far)`);
  };
  report();
  const timer = setInterval(report, 60_000);
  try {
    await promisify(execFile)(go, ['install', `github.com/temporalio/cli/cmd/temporal@v${CLI_VERSION}`], {
      env: { ...env, GOBIN: scratch },
      timeout: BUILD_MS,
      maxBuffer: 64 * 1024 * 1024,
    });
    renameSync(join(scratch, 'temporal'), target);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1) ?? (error as Error).message;
    throw new Error(`the build by Go failed: ${said}`, { cause: error });
  } finally {
    clearInterval(timer);
    rmSync(scratch, { recursive: true, force: true });
  }
}
