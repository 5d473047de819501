import { describe, expect, test } from 'vitest';
import { type FollowedCluster, waitForJob, waitForOperation } from '../../client/follow.ts';
import type { Operation } from '../../model/cluster.ts';
import type { ClusterView } from '../../model/commands.ts';
import type { JobRow, JobStatus } from '../../model/job.ts';

type Part = Partial<Pick<ClusterView, 'generation' | 'operation' | 'operations' | 'waiting' | 'jobs'>>;

/** Only what the waits read. */
function views(...parts: Part[]): FollowedCluster {
  let index = 0;
  return {
    glance: async () => ({ version: String(index), settled: true }),
    look: async () => {
      const part = parts[Math.min(index++, parts.length - 1)];
      return {
        generation: 'life-1',
        operation: null,
        operations: [],
        waiting: [],
        jobs: [],
        ...part,
      } as unknown as ClusterView;
    },
  };
}

function operation(id: string, outcome: Operation['outcome']): Operation {
  return { id, outcome } as Operation;
}

function job(id: number, status: JobStatus): JobRow {
  return { id, status } as JobRow;
}

const answer = { operationId: 'down-2', generation: 'life-1' };

describe('waiting for an operation', () => {
  test('lasts while it waits and runs, and ends with its outcome', async () => {
    const look = views(
      { operation: operation('launch-1', null), waiting: [{ opId: 'down-2', kind: 'down' }] },
      { operation: operation('down-2', null), operations: [operation('down-2', null)] },
      { operations: [operation('launch-1', 'aborted'), operation('down-2', 'succeeded')] },
    );
    let seen = 0;
    const end = await waitForOperation(look, answer, { onView: () => seen++ });
    expect([end.outcome, seen]).toEqual(['succeeded', 3]);
  });

  test('that is kept no longer says that its outcome is unknown', async () => {
    const end = await waitForOperation(views({ operations: [operation('stop-9', 'succeeded')] }), answer);
    expect(end.outcome).toBe('unknown');
  });

  test('does not take the operation of the same id of a later life for it', async () => {
    const look = views({ generation: 'later-1', operations: [operation('down-2', 'failed')] });
    expect((await waitForOperation(look, answer)).outcome).toBe('unknown');
  });

  test('goes on over a re-creation within the same life', async () => {
    const look = views({ generation: 'life-2', operations: [operation('down-2', 'succeeded')] });
    expect((await waitForOperation(look, answer)).outcome).toBe('succeeded');
  });

  test('ends when its signal aborts', async () => {
    const look = views({ operation: operation('down-2', null) });
    await expect(waitForOperation(look, answer, { signal: AbortSignal.timeout(50) })).rejects.toThrow(/abort|timeout/i);
  });
});

describe('waiting for a job', () => {
  test('ends with its last state', async () => {
    const look = views({ jobs: [job(1, 'PENDING')] }, { jobs: [job(1, 'RUNNING')] }, { jobs: [job(1, 'FAILED')] });
    expect((await waitForJob(look, 'c', 1)).status).toBe('FAILED');
  });

  test('that the cluster does not know fails at once, and tells forgotten from never there', async () => {
    await expect(waitForJob(views({ jobs: [job(70, 'RUNNING')] }), 'c', 3)).rejects.toThrow('any more');
    await expect(waitForJob(views({ jobs: [job(1, 'RUNNING')] }), 'c', 3)).rejects.toThrow('does not know job 3');
  });
});
