/** What tests of Ray need: that it can be installed here, its processes, a script that shows where its tasks run. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
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
