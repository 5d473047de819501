/** Temporal's errors, as one StyxError each: the root cause and the next step, never a chain. */
import {
  isGrpcServiceError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';
import { SENT_BEFORE_START } from '../model/envelope.ts';
import { isErrorKind, StyxError } from '../model/errors.ts';

/** gRPC status codes that mean something here; https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const GRPC = {
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** What a server says that is busy, or being stopped or killed; it cancels what it was doing. */
const PASSING: readonly number[] = [GRPC.resourceExhausted, GRPC.unavailable, GRPC.aborted, GRPC.cancelled];

/** Answers of an update around continue-as-new, a worker's death and the end of a workflow: it was not carried out, or was and is remembered. */
const INTERRUPTED =
  /unexpected workflow task failure|aborted|workflow (?:is )?closing|workflow task (?:in )?failed|completed before the update/i;

function causes(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let next = error; next instanceof Error && chain.length < 16; next = next.cause) chain.push(next);
  return chain;
}

function grpcOf(error: unknown): { code: number; details: string; message: string } | null {
  const found = causes(error).find((cause) => isGrpcServiceError(cause));
  return found === undefined ? null : (found as Error & { code: number; details: string });
}

/** Should a command that failed so be sent again under the same request id? */
export function isRepeatable(error: unknown): boolean {
  if (error instanceof WorkflowUpdateFailedError) {
    const root = rootFailure(error);
    return (
      root?.details?.[1] === SENT_BEFORE_START ||
      root?.type === 'AcceptedUpdateCompletedWorkflow' ||
      (!isErrorKind(root?.type) && INTERRUPTED.test(root?.message ?? ''))
    );
  }
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return true;
  const grpc = grpcOf(error);
  if (grpc === null) return false;
  if (PASSING.includes(grpc.code)) return true;
  // Of an update-with-start the details say only that it failed, and the message why.
  return grpc.code === GRPC.deadlineExceeded || INTERRUPTED.test(grpc.details) || INTERRUPTED.test(grpc.message);
}

/** The server could not be reached at all, as opposed to having answered badly. */
export function isConnectionLoss(error: unknown): boolean {
  const code = grpcOf(error)?.code;
  return code === GRPC.unavailable || code === GRPC.deadlineExceeded;
}

export function isNotFound(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || grpcOf(error)?.code === GRPC.notFound;
}

function rootFailure(error: unknown): ApplicationFailure | undefined {
  return causes(error)
    .filter((cause) => cause instanceof ApplicationFailure)
    .at(-1);
}

function hintOf(failure: ApplicationFailure): string | undefined {
  const detail = failure.details?.[0];
  return typeof detail === 'string' ? detail : undefined;
}

/** Any error of a call to Temporal as a StyxError; one that is already a StyxError stays as it is. */
export function toStyxError(error: unknown): StyxError {
  if (error instanceof StyxError) return error;
  const failure = rootFailure(error);
  if (failure !== undefined) {
    const hint = hintOf(failure);
    const kind = isErrorKind(failure.type) ? failure.type : 'internal';
    return new StyxError(kind, failure.message, { cause: error, ...(hint === undefined ? {} : { hint }) });
  }
  if (error instanceof WorkflowNotFoundError) return new StyxError('not-found', error.message, { cause: error });
  const grpc = grpcOf(error);
  if (grpc !== null) return fromGrpc(grpc, error);
  const message = causes(error).at(-1)?.message ?? String(error);
  if (/failed to connect before the deadline/i.test(message)) return serverDown(message, error);
  return new StyxError('internal', message, { cause: error });
}

function serverDown(details: string, cause: unknown): StyxError {
  return new StyxError('transient', `the Temporal server does not answer: ${details}`, {
    hint: 'Run `styx server status`; `styx server start` starts the embedded one.',
    cause,
  });
}

function fromGrpc(grpc: { code: number; details: string }, cause: unknown): StyxError {
  switch (grpc.code) {
    case GRPC.unavailable:
    case GRPC.deadlineExceeded:
    case GRPC.cancelled:
      return serverDown(grpc.details, cause);
    case GRPC.unauthenticated:
    case GRPC.permissionDenied:
      return new StyxError('auth', `the Temporal server refused us: ${grpc.details}`, {
        hint: 'Check the API key or certificates of your Temporal profile (TEMPORAL_API_KEY, TEMPORAL_TLS_*).',
        cause,
      });
    case GRPC.resourceExhausted:
      return new StyxError('throttled', `the Temporal server is busy: ${grpc.details}`, { cause });
    case GRPC.notFound:
      return new StyxError('not-found', grpc.details, { cause });
    case GRPC.invalidArgument:
      return new StyxError('invalid', `the Temporal server does not accept the request: ${grpc.details}`, { cause });
    case GRPC.aborted:
      return new StyxError('transient', `the Temporal server gave up the request: ${grpc.details}`, { cause });
    default:
      return new StyxError('internal', `the Temporal server failed: ${grpc.details}`, { cause });
  }
}

/** No worker polls at the moment, or the query came in while the workflow was being moved. */
export function isUnanswered(error: unknown): boolean {
  const text = error instanceof Error ? `${error.message} ${(error.cause as Error | undefined)?.message ?? ''}` : '';
  return /no poller|worker may be down|query buffer|workflow task.*failed|not ready|before first workflow task/i.test(
    text,
  );
}
