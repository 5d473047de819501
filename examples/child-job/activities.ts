import { type ChildJob, connect, parseJob, resourcesText } from '../../client/index.ts';

/** Takes a snapshot of what the task needs and closes its secrets; starts nothing. The same request id is the same job. */
export async function prepareJob(command: string, requestId: string): Promise<ChildJob> {
  const styx = await connect({ startServer: false });
  try {
    const { task, recovery } = parseJob(JSON.stringify({ name: 'nightly', run: command }), { file: 'nightly' });
    return await styx.jobs.child({ task, recovery, resourcesText: resourcesText(task) }, { requestId });
  } finally {
    await styx.close();
  }
}
