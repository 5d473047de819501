/** What tests of Ray need: that it can be installed here, its processes, a script that shows where its tasks run. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DEFAULT_RAY_VERSION } from '../../model/ray.ts';
import { styxCache } from '../../system/home.ts';
import { testDir } from './temporal.ts';

const INSTALL_MS = 10 * 60_000;

/** Installs Ray where the nodes of all tests find it, once a machine. Null when that did; else why not, said loudly too. */
export function withoutRay(): string | null {
  const home = testDir();
  const wanted = { key: 'test', version: DEFAULT_RAY_VERSION, extras: [] };
  const env = { ...process.env, HOME: home, STYX_HOST_CACHE: styxCache(), STYX_RAY: JSON.stringify(wanted) };
  const program = join(import.meta.dirname, '..', '..', 'agent', 'ray_node.py');
  const made = spawnSync('python3', ['-I', '-S', program, 'setup'], { env, encoding: 'utf8', timeout: INSTALL_MS });
  rmSync(home, { recursive: true, force: true });
  if (made.status === 0) return null;
  const said = made.stdout.trim().split('\n').at(-1) || made.stderr.trim().split('\n').at(-1);
  const reason = `Ray ${DEFAULT_RAY_VERSION} cannot be installed here: ${said || made.error?.message}`;
  console.log(`SKIPPED tests with Ray: ${reason}`);
  return reason;
}

/** Where a Python looks for the packages of Ray, below the cache. */
function packagesOf(python: string): string {
  const agent = join(import.meta.dirname, '..', '..', 'agent');
  const ask = `import sys; sys.path.insert(0, '${agent}'); import ray_environment as r; print(r.base_of('${DEFAULT_RAY_VERSION}', []))`;
  const env = { ...process.env, STYX_HOST_CACHE: styxCache() };
  return execFileSync(python, ['-I', '-S', '-c', ask], { env, encoding: 'utf8' }).trim();
}

/**
 * The packages that `withoutRay` has installed, as every user may read them, and the name below which machines of a stand-in look for
 * them. Why there are none when the Python of this machine's own system, which those have, is of another version.
 */
export function packagesForMachines():
  | { readonly directory: string; readonly name: string }
  | { readonly lacks: string } {
  const directory = packagesOf('python3');
  const name = basename(packagesOf('/usr/bin/python3'));
  const version = (path: string) => /-(py[\d.]+)-\w+$/.exec(path)?.[1];
  if (version(directory) !== version(name)) return { lacks: `${directory} is not for the Python of ${name}` };
  execFileSync('chmod', ['-R', 'a+rX', directory]);
  return { directory, name };
}

export interface RayProcess {
  readonly pid: number;
  readonly command: string;
}

const SERVERS = {
  raylet: '/raylet/raylet ',
  head: '/gcs/gcs_server ',
  keeper: '/ray_node.py service',
  all: '/site-packages/ray/',
};

/** Processes of this machine that are Ray's own servers, of the instances of one data directory. */
export function rayProcesses(home: string, which: keyof typeof SERVERS): RayProcess[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const ours = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(home);
      return ours && command.includes(SERVERS[which]) ? [{ pid: Number(pid), command }] : [];
    } catch {
      return [];
    }
  });
}

/** A script whose first rank runs tasks on all nodes, and appends to `file` on how many different ones they ran. */
export function spreadScript(file: string, nodes: number): string {
  return [
    '[ "$STYX_NODE_RANK" = 0 ] || exit 0',
    "python - <<'EOF'",
    'import ray, time',
    'ray.init(log_to_driver=False)',
    `@ray.remote(num_cpus=1, scheduling_strategy='SPREAD')`,
    'def where():',
    '    time.sleep(0.3)',
    '    return ray.get_runtime_context().get_node_id()',
    'found = set()',
    'for _ in range(30):',
    '    found |= set(ray.get([where.remote() for _ in range(4)]))',
    `    if len(found) == ${nodes}: break`,
    `open('${file}', 'a').write('%d\\n' % len(found))`,
    'EOF',
  ].join('\n');
}
