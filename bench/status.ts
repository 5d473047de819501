/** `styx status` with one cluster up, and `sky status` in the same run where SkyPilot is installed; `sky` null: without. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Lab } from './lab.ts';
import { add, median, type Report } from './report.ts';
import { NO_SKY, skyPath } from './sky.ts';

const SKY_ROUNDS = 3;
const SKY_MS = 5 * 60_000;

/** Without a way out: a network of its own, and a process tree that ends with its first process. */
const ALONE = ['--user', '--map-root-user', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
/** Brings loopback up and prints the seconds of each call. */
const SKY = `
import fcntl, json, socket, struct, subprocess, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14s", b"lo", 0x41, b""))
sky, rounds = sys.argv[1], int(sys.argv[2])
def call(*words):
    started = time.monotonic()
    done = subprocess.run([sky, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit("sky " + " ".join(words) + ": " + done.stdout.decode()[-500:])
    return time.monotonic() - started
call("api", "start")
try:
    call("status")
    print(json.dumps([call("status") for _ in range(rounds)]))
finally:
    subprocess.run([sky, "api", "stop"], stdin=subprocess.DEVNULL, capture_output=True)
`;

export async function status(lab: Lab, report: Report, rounds: number, sky: string | null | undefined): Promise<void> {
  const name = lab.name('status');
  await lab.cli('launch', '-y', '-d', '-c', name, '--infra', 'local', 'true');
  const values: number[] = [];
  const cpu: number[] = [];
  for (let i = 0; i <= rounds; i++) {
    const run = await lab.cli('status');
    if (i === 0) continue;
    values.push(run.wallMs / 1_000);
    cpu.push(run.cpuMs / 1_000);
  }
  add(report, { subject: 'styx status', unit: 's', values, target: 0.5 });
  add(report, { subject: 'styx status, CPU time', unit: 's', values: cpu });
  await lab.down(name);
  if (sky === null) return;
  const path = skyPath(sky);
  if (path === undefined) {
    report.skips.push({ subject: 'sky status', why: NO_SKY });
    return;
  }
  try {
    const times = await skyStatus(path);
    add(report, { subject: 'sky status', unit: 's', values: times });
    const ratio = median(values) / median(times);
    add(report, { subject: 'styx status / sky status', unit: '', values: [ratio], target: 0.1 });
  } catch (error) {
    report.skips.push({ subject: 'sky status', why: (error as Error).message.trim().split('\n').at(-1) ?? '' });
  }
}

async function skyStatus(path: string): Promise<number[]> {
  const home = mkdtempSync(join(tmpdir(), 'sky-bench-'));
  const env = { ...process.env, HOME: home, SKYPILOT_DISABLE_USAGE_COLLECTION: '1' };
  try {
    const script = ['python3', '-c', SKY, path, String(SKY_ROUNDS)];
    const running = promisify(execFile)('unshare', [...ALONE, ...script], { env, timeout: SKY_MS });
    process.once('exit', end);
    function end(): void {
      running.child.kill();
    }
    try {
      const { stdout } = await running;
      return JSON.parse(stdout) as number[];
    } finally {
      process.off('exit', end);
    }
  } catch (error) {
    const killed = (error as { killed?: boolean }).killed === true;
    throw killed ? new Error(`sky was not done after ${SKY_MS / 60_000} minutes`, { cause: error }) : error;
  } finally {
    rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}
