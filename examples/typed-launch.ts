/**
 * Launches a cluster, runs a job on it, awaits the job and takes the cluster down, all from a program.
 * Run it: node examples/typed-launch.ts [cluster name]
 */
import { commandTask, connect, resourcesText } from '../client/index.ts';

const name = process.argv[2] ?? 'typed-example';
const say = (text: string) => console.error(text);
const styx = await connect({ onProgress: say });

try {
  const task = commandTask('echo "hello from $(hostname)"; echo $((6 * 7)) > answer; cat answer', {
    name: 'answer',
    infra: 'local',
  });
  // The request id makes the launch repeatable: the same id gives the same answer, even from another process.
  const answer = await styx.clusters.launch(
    { name, task, resourcesText: resourcesText(task), commandLine: 'examples/typed-launch.ts' },
    { onProgress: say },
  );
  let shown = '';
  const { outcome, operation } = await styx.clusters.waitOperation(name, answer, {
    onView: ({ operation: running }) => {
      if (running !== null && running.progress !== shown) say(running.progress);
      shown = running?.progress ?? '';
    },
  });
  if (outcome !== 'succeeded' || answer.jobId === null) {
    throw new Error(`the launch ${outcome}: ${operation?.failure?.message ?? 'nothing is known of why'}`);
  }
  for await (const { data } of styx.logs(name, { jobId: answer.jobId })) process.stdout.write(data);
  const job = await styx.clusters.waitJob(name, answer.jobId, { generation: answer.generation });
  console.log(`job ${job.id} ${job.status}, exit codes ${job.exitCodes?.join(', ')}`);
  await styx.clusters.waitOperation(name, await styx.clusters.down(name));
} finally {
  await styx.close();
}
