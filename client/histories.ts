/** What a workflow did, run by run, as the server keeps it: no worker is asked. Payloads are opened; what is not ours is a mark. */
import type { LoadedDataConverter, Payload } from '@temporalio/common';
import {
  decodeArrayFromPayloads,
  decodeOptionalFailureToOptionalError,
  decodeOptionalSinglePayload,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { temporal } from '@temporalio/proto';
import { envelopeIn, foreignReason } from '../model/envelope.ts';
import { isNotFound, toStyxError } from './errors.ts';
import type { Link } from './link.ts';

export type RawEvent = temporal.api.history.v1.IHistoryEvent;
type RawFailure = temporal.api.failure.v1.IFailure;

export interface Run {
  readonly runId: string;
  readonly events: readonly RawEvent[];
}

/** A workflow from its start through all its runs that went on as new, oldest first. */
export interface Chain {
  readonly workflowId: string;
  readonly runs: readonly Run[];
  /** The server does not keep the first runs any more. */
  readonly cut: boolean;
}

/** The chain that ends with a run, by default the latest. Null when the server knows no such workflow. @throws transient */
export async function chainOf(link: Link, workflowId: string, lastRun?: string): Promise<Chain | null> {
  const runs: Run[] = [];
  for (let runId: string | undefined = lastRun; ; ) {
    const events = await eventsOf(link, workflowId, runId);
    if (events === null) return runs.length === 0 ? null : { workflowId, runs, cut: true };
    const began = events[0]?.workflowExecutionStartedEventAttributes;
    runs.unshift({ runId: began?.originalExecutionRunId ?? runId ?? '', events });
    if (!began?.continuedExecutionRunId) return { workflowId, runs, cut: false };
    runId = began.continuedExecutionRunId;
  }
}

async function eventsOf(link: Link, workflowId: string, runId: string | undefined): Promise<RawEvent[] | null> {
  try {
    const history = await link.read((workflow) => workflow.getHandle(workflowId, runId).fetchHistory());
    return history.events ?? [];
  } catch (error) {
    if (isNotFound(error) || toStyxError(error).kind === 'not-found') return null;
    throw error;
  }
}

/** Milliseconds since the epoch; 0 for none. */
export function timeOf(
  time: { readonly seconds?: unknown; readonly nanos?: number | null } | null | undefined,
): number {
  if (time === null || time === undefined) return 0;
  return Number(time.seconds ?? 0) * 1_000 + Math.floor((time.nanos ?? 0) / 1e6);
}

/** Opens what events carry. */
export class Reader {
  readonly #converter: LoadedDataConverter;

  constructor(converter: LoadedDataConverter) {
    this.#converter = converter;
  }

  async values(payloads: Payload[] | null | undefined): Promise<unknown[]> {
    return await decodeArrayFromPayloads(this.#converter, payloads);
  }

  async value(payload: Payload | null | undefined): Promise<unknown> {
    const value = await decodeOptionalSinglePayload<unknown>(this.#converter, payload);
    return foreignReason(value) === null ? value : undefined;
  }

  /** The first argument of a message; undefined for one that Styx did not send or that cannot be opened. */
  async message<T>(name: string, payloads: Payload[] | null | undefined): Promise<T | undefined> {
    const values = await this.values(payloads);
    const sent = envelopeIn(values);
    if (sent !== null) return sent.$styx === name ? (sent.args[0] as T) : undefined;
    return foreignReason(values[0]) === null ? (values[0] as T) : undefined;
  }

  /** Is the first payload sealed with a key that is not here? */
  async keyMissing(payloads: Payload[] | null | undefined): Promise<boolean> {
    return foreignReason((await this.values(payloads?.slice(0, 1)))[0]) === 'unknown-key';
  }

  /** What went wrong first, in one line. */
  async reason(failure: RawFailure | null | undefined): Promise<string> {
    const error = await decodeOptionalFailureToOptionalError(this.#converter, failure);
    let last: unknown = error;
    for (let turn = 0; turn < 16 && last instanceof Error && last.cause instanceof Error; turn++) last = last.cause;
    return last instanceof Error ? last.message : 'no reason was given';
  }
}
