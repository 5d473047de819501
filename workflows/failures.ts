/** Errors as workflows see them: what an activity failed with, as the plain `Failure` that states and signals carry. */
import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';
import { type Failure, isErrorKind } from '../model/errors.ts';

/** A failure on its way up inside one workflow. */
export class Failed extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** The root of an activity's failure as a kind and one sentence. */
export function failureOf(error: unknown): Failure {
  let cause: unknown = error;
  while (cause instanceof ActivityFailure && cause.cause !== undefined) cause = cause.cause;
  if (cause instanceof Failed) return cause.failure;
  if (cause instanceof ApplicationFailure) {
    const hint = cause.details?.[0];
    return {
      kind: isErrorKind(cause.type) ? cause.type : 'internal',
      message: cause.message,
      ...(typeof hint === 'string' ? { hint } : {}),
    };
  }
  if (cause instanceof TimeoutFailure) {
    return { kind: 'transient', message: `It took too long${timeoutCause(cause)}.` };
  }
  return { kind: 'internal', message: cause instanceof Error ? cause.message : String(cause) };
}

function timeoutCause(timeout: TimeoutFailure): string {
  return timeout.cause instanceof Error && timeout.cause.message !== '' ? `: ${timeout.cause.message}` : '';
}

/** For an update's validator: the client gets the kind and the sentence. */
export function refuse(failure: Failure): ApplicationFailure {
  return ApplicationFailure.create({
    message: failure.message,
    type: failure.kind,
    nonRetryable: true,
    details: failure.hint === undefined ? [] : [failure.hint],
  });
}
