/** What the client sends for a small task, for programs in other languages to begin with. */
import { FENCE_MS, LIMITS } from '../client/submit.ts';
import type { ClusterInput, CommandPayloads } from '../model/commands.ts';
import { DEFAULT_RECOVERY } from '../model/job-recovery.ts';
import type { ManagedJobInput } from '../model/managed-job.ts';
import { parseTask } from '../model/parse-task.ts';
import { resourcesText } from '../model/resources-text.ts';
import { NORMAL } from '../model/timing.ts';

/** Input of the workflow `managedJob`. */
export function managedJobMessage(): ManagedJobInput {
  const task = parseTask('resources: {infra: local}\nrun: echo hello\n', { file: 'hello.yaml' });
  return {
    version: 1,
    workspace: 'default',
    requestId: 'REQUEST-ID',
    installation: 'NAMESPACE-ID',
    user: 'python',
    task: { ...task, secrets: {} },
    resourcesText: resourcesText(task),
    recovery: DEFAULT_RECOVERY,
    limits: LIMITS,
    fenceAfter: FENCE_MS,
    conda: false,
    submittedAt: 0,
    timing: NORMAL,
  };
}

export function launchMessages(): { start: ClusterInput; launch: CommandPayloads['launch'] } {
  const task = parseTask('resources: {infra: local}\nrun: echo hello\n', { file: 'hello.yaml' });
  return {
    start: { version: 1, workspace: 'default', name: 'CLUSTER', installation: 'NAMESPACE-ID', timing: NORMAL },
    launch: {
      requestId: 'REQUEST-ID',
      user: 'python',
      task: { ...task, secrets: {} },
      spec: { resources: task.resources, numNodes: task.numNodes, resourcesText: resourcesText(task) },
      retryUntilUp: false,
      noSetup: false,
      commandLine: '',
    },
  };
}
