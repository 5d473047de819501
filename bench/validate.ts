/** `styx validate` of a hundred files, in one process and without a server. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { add, type Report } from './report.ts';

const FILES = 100;
const TARGET_SECONDS = 1;
const MAIN = join(import.meta.dirname, '..', 'cli', 'main.ts');

const TASK = (index: number) => `name: train-${index}
num_nodes: 4
resources:
  any_of:
    - {infra: aws/us-east-1, accelerators: A100:8}
    - {infra: gcp, accelerators: H100:8, use_spot: true}
    - {infra: k8s/research/gpu, accelerators: {H100: 8}, disk_tier: best}
  cpus: 32+
  memory: 256GB+
  disk_size: 1TB
  ports: [8080, 9000-9010]
  labels: {team: research, index: "${index}"}
  autostop: {idle_minutes: 30, down: true}
workdir: src
file_mounts:
  /data: s3://bucket-${index}
  ~/config.json: src
  /checkpoints: {name: checkpoints-${index}, mode: MOUNT_CACHED, store: s3, type: MODEL_CHECKPOINT_RW}
envs:
${Array.from({ length: 30 }, (_, at) => `  VARIABLE_${at}: value ${at}\n`).join('')}secrets: {HF_TOKEN: }
setup: |
  pip install -r requirements.txt
run: |
${Array.from({ length: 60 }, (_, at) => `  python step_${at}.py --rank $SKYPILOT_NODE_RANK\n`).join('')}`;

export function validate(report: Report, rounds: number): void {
  const dir = mkdtempSync(join(tmpdir(), 'styx-bench-validate-'));
  try {
    mkdirSync(join(dir, 'src'));
    const files = Array.from({ length: FILES }, (_, index) => `task-${index}.yaml`);
    for (const [index, file] of files.entries()) writeFileSync(join(dir, file), TASK(index));
    const seconds: number[] = [];
    // The first run fills Node's cache of compiled code, as a user's first command does.
    for (let round = 0; round <= rounds; round++) {
      const started = performance.now();
      const run = spawnSync(process.execPath, [MAIN, 'validate', ...files], { cwd: dir, encoding: 'utf8' });
      if (run.status !== 0) throw new Error(`styx validate: ${run.stderr}`);
      if (round > 0) seconds.push((performance.now() - started) / 1000);
    }
    add(report, { subject: `validate ${FILES} files`, unit: 's', values: seconds, target: TARGET_SECONDS });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
