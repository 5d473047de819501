import { Metadata } from '@grpc/grpc-js';
import { ServiceError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { isRepeatable, toStyxError } from '../../client/errors.ts';
import { repeat } from '../../client/repeat.ts';
import { ERROR_KINDS, StyxError } from '../../model/errors.ts';

function grpc(code: number, details: string): ServiceError {
  const cause = Object.assign(new Error(`${code} ${details}`), { code, details, metadata: new Metadata() });
  return new ServiceError('Workflow Update failed', { cause });
}

function refusal(type: string, message: string): WorkflowUpdateFailedError {
  return new WorkflowUpdateFailedError('Workflow Update failed', ApplicationFailure.create({ type, message }));
}

describe('an error of Temporal', () => {
  test.each(ERROR_KINDS)('of the kind %s keeps kind and message, and nothing of the chain', (kind) => {
    const error = toStyxError(refusal(kind, 'the reason'));
    expect([error.kind, error.message]).toEqual([kind, 'the reason']);
  });

  test('is told by its root cause', () => {
    const root = ApplicationFailure.create({
      type: 'quota',
      message: 'no more GPUs',
      details: ['ask for more'],
    });
    const failure = new ActivityFailure(
      'Activity task failed',
      'create',
      'id',
      'RETRY_STATE_UNSPECIFIED' as never,
      '',
      root,
    );
    const error = toStyxError(new WorkflowUpdateFailedError('Workflow Update failed', failure));
    expect([error.kind, error.message, error.hint]).toEqual(['quota', 'no more GPUs', 'ask for more']);
  });

  test.each([
    [14, 'transient', 'styx server'],
    [4, 'transient', 'styx server'],
    [16, 'auth', 'TEMPORAL_API_KEY'],
    [7, 'auth', 'TEMPORAL_API_KEY'],
  ])('with gRPC status %i is %s and says what to do next', (code, kind, hint) => {
    const error = toStyxError(grpc(code, 'details'));
    expect(error.kind).toBe(kind);
    expect(error.hint).toContain(hint);
  });

  test('that nothing is known of is internal', () => {
    expect(toStyxError(new Error('boom')).kind).toBe('internal');
    expect(toStyxError(new WorkflowNotFoundError('gone', 'id', undefined)).kind).toBe('not-found');
  });
});

describe('a command is sent again', () => {
  test('when an update-with-start says only in the message of its cause what came in between', () => {
    const message = 'Unable to perform workflow execution update due to Workflow Task in failed state.';
    const details = 'Update-with-Start could not be executed.';
    const cause = Object.assign(new Error(message), { code: 9, details, metadata: new Metadata() });
    expect(isRepeatable(new ServiceError('Workflow Update failed', { cause }))).toBe(true);
    expect(isRepeatable(grpc(9, details))).toBe(false);
  });

  test.each([
    ['the workflow is closing', grpc(9, 'workflow closing')],
    ['the worker died in the workflow task', grpc(13, 'unexpected workflow task failure')],
    [
      'a workflow task failed and is tried again',
      grpc(9, 'Unable to perform workflow execution update due to Workflow Task in failed state.'),
    ],
    ['the update was aborted', grpc(10, 'update aborted')],
    ['too many updates are in flight', grpc(8, 'limit reached')],
    ['the server restarts', grpc(14, 'connection refused')],
    ['the server is killed while it works on it', grpc(1, 'Call cancelled')],
    [
      'the workflow ended under it',
      refusal('AcceptedUpdateCompletedWorkflow', 'the Workflow completed before the Update completed'),
    ],
  ])('when %s', (_, error) => {
    expect(isRepeatable(error)).toBe(true);
  });

  test.each(ERROR_KINDS)('but not when the workflow answered %s', (kind) => {
    expect(isRepeatable(refusal(kind, 'workflow closing'))).toBe(false);
  });

  test('until it is answered, and says that it waits', async () => {
    let attempts = 0;
    const said: string[] = [];
    const answer = await repeat(
      async () => {
        if (++attempts < 3) throw grpc(14, 'connection refused');
        return 'done';
      },
      { onProgress: (text) => said.push(text) },
    );
    expect([answer, attempts, said.length]).toEqual(['done', 3, 2]);
  });

  test('within its budget, and then fails as something that may be repeated', async () => {
    const failure = await repeat(async () => Promise.reject(grpc(14, 'connection refused')), { budget: 400 }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(StyxError);
    expect((failure as StyxError).kind).toBe('transient');
  });
});
