/** What the client sends for a small task, for programs in other languages to begin with. */
import type { ClusterInput, CommandPayloads } from '../model/commands.ts';
import { parseTask } from '../model/parse-task.ts';
import { resourcesText } from '../model/resources-text.ts';
import { NORMAL } from '../model/timing.ts';

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
