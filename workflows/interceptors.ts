/**
 * Messages are taken out of their envelopes on their way in and put into them on their way out; what is not ours is dropped or refused,
 * and the workflow goes on. Nothing here awaits: another turn of the event loop would change what recorded histories replay to.
 */
import {
  ApplicationFailure,
  CancellationScope,
  log,
  type WorkflowInterceptors,
  workflowInfo,
} from '@temporalio/workflow';
import {
  type Envelope,
  envelope,
  envelopeIn,
  foreignReason,
  type MessageKind,
  SENT_BEFORE_START,
} from '../model/envelope.ts';

/** A command that was under way for longer is not a command but somebody's copy of one. */
const COMMAND_AGE_MS = 10 * 60_000;

export function interceptors(): WorkflowInterceptors {
  let start: Envelope | null = null;

  /** The arguments that a message really carries; a text says why it is refused. */
  const opened = (kind: MessageKind, name: string, args: readonly unknown[]): Envelope | string => {
    const foreign = args.map(foreignReason).find((reason) => reason !== null);
    if (foreign !== undefined) return `its payload is ${foreign}`;
    const found = envelopeIn(args);
    if (found !== null) return found.$styx === `${kind}:${name}` ? found : `it was sent as ${found.$styx}`;
    return start?.strict === true ? 'it is not sealed' : envelope(kind, name, args);
  };
  const refuse = (what: string, why: string, ...details: readonly unknown[]) =>
    ApplicationFailure.create({
      message: `${what} was refused: ${why}`,
      type: 'refused',
      nonRetryable: true,
      details: [...details],
    });
  const enclosedStart = (type: string, args: readonly unknown[]) => [
    envelope('start', type, args, { strict: start?.strict === true, ...sentAt(start) }),
  ];

  return {
    inbound: [
      {
        execute(input, next) {
          const { workflowType, unsafe } = workflowInfo();
          // It may be ours: it waits until the key is back.
          if (input.args.some((arg) => foreignReason(arg) === 'unknown-key')) {
            return Promise.reject(new Error('the start of this workflow was sealed with a key that is not here'));
          }
          const found = input.args.length === 0 ? 'it carries nothing' : opened('start', workflowType, input.args);
          if (typeof found === 'string') {
            const refused = refuse(`the start of a ${workflowType}`, found);
            // One that has done something was believed once, by a version that sealed nothing: it waits, and does not end.
            return Promise.reject(unsafe.isReplaying ? new Error(refused.message) : refused);
          }
          start = found;
          const run = () => next({ ...input, args: [...found.args] });
          // Temporal's own request to cancel carries nothing that could be sealed; our commands do.
          return found.strict === true ? CancellationScope.nonCancellable(run) : run();
        },
        handleSignal(input, next) {
          const found = opened('signal', input.signalName, input.args);
          if (typeof found !== 'string') return next({ ...input, args: [...found.args] });
          log.warn(`a signal ${input.signalName} was dropped: ${found}`);
          return Promise.resolve();
        },
        validateUpdate(input, next) {
          const found = opened('update', input.name, input.args);
          if (typeof found === 'string') throw refuse(`the update ${input.name}`, found);
          const stale = staleness(found, start);
          if (stale !== null) throw refuse(`the update ${input.name}`, ...stale);
          next({ ...input, args: [...found.args] });
        },
        handleUpdate(input, next) {
          const found = opened('update', input.name, input.args);
          if (typeof found === 'string') return Promise.reject(refuse(`the update ${input.name}`, found));
          return next({ ...input, args: [...found.args] });
        },
        handleQuery(input, next) {
          const foreign = input.args.map(foreignReason).find((reason) => reason !== null);
          if (foreign === undefined) return next(input);
          return Promise.reject(refuse(`the query ${input.queryName}`, `its payload is ${foreign}`));
        },
      },
    ],
    outbound: [
      {
        startChildWorkflowExecution(input, next) {
          const args = enclosedStart(input.workflowType, input.options.args);
          return next({ ...input, options: { ...input.options, args } });
        },
        signalWorkflow: (input, next) => next({ ...input, args: [envelope('signal', input.signalName, input.args)] }),
        continueAsNew: (input, next) => {
          const type = input.options.workflowType ?? workflowInfo().workflowType;
          return next({ ...input, args: enclosedStart(type, input.args) });
        },
        scheduleActivity(input, next) {
          const result = next(input);
          if (start?.strict !== true) return result;
          return result.then((value) => {
            const foreign = foreignReason(value);
            if (foreign !== null) throw refuse(`the result of ${input.activityType}`, `it is ${foreign}`);
            // Our steps answer null at least: what answers nothing was taken from the worker by somebody else.
            if (value === undefined) throw refuse(`the result of ${input.activityType}`, 'it carries nothing');
            return value;
          });
        },
      },
    ],
  };
}

function sentAt(from: Envelope | null): Pick<Envelope, 'sentAt'> {
  return from?.sentAt === undefined ? {} : { sentAt: from.sentAt };
}

/** Null for a command that may have been sent just now, in the life of this workflow. */
function staleness(command: Envelope, start: Envelope | null): [why: string, ...details: unknown[]] | null {
  if (command.sentAt === undefined || start?.strict !== true) return null;
  if (Math.abs(Date.now() - command.sentAt) > COMMAND_AGE_MS) return ['it was not sent just now'];
  if (start.sentAt !== undefined && command.sentAt < start.sentAt) {
    return ['it was sent to an earlier one of this name', null, SENT_BEFORE_START];
  }
  return null;
}
