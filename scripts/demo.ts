/** npm run demo: one cluster from launch to teardown on this machine, by the commands that a user types. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const CLUSTER = 'styx-demo';

function styx(...args: string[]): boolean {
  console.log(`\n$ bin/styx ${args.join(' ')}`);
  return spawnSync(join(root, 'bin', 'styx'), args, { cwd: root, stdio: 'inherit' }).status === 0;
}

const ran = [
  styx('launch', '-y', '-c', CLUSTER, 'examples/hello.yaml'),
  styx('queue', CLUSTER),
  styx('status'),
  // In any case, so that a demo that failed leaves nothing.
  styx('down', '-y', CLUSTER),
];
if (ran.every(Boolean)) {
  console.log(`
That was a real machine as far as Styx is concerned: made, reached over SSH, and gone again.
Try next:
  bin/styx launch -c mine examples/multi-node.yaml   two nodes, one job
  bin/styx exec mine examples/python.yaml            another job on the same cluster
  bin/styx logs mine                                 its output
  bin/styx down mine                                 end it
  bin/styx server status                             what runs in the background, with the Web UI's address
  bin/styx server stop                               stop that too
Data is in ~/.styx (or STYX_HOME).`);
} else {
  console.error('\nThe demo failed. `bin/styx server logs` shows what happened.');
  process.exitCode = 1;
}
