/** Tells what is asked of Temporal: which method, of which workflow, how long it took and how it ended. Never what is in it. */
import { InterceptingCall, type Interceptor, status } from '@grpc/grpc-js';
import proto from '@temporalio/proto';

export interface TemporalCall {
  /** `DescribeWorkflowExecution`. */
  readonly method: string;
  /** A workflow's id, with the name of the update, signal or query; the query of a list. */
  readonly about: string | null;
  readonly ms: number;
  /** Null when it succeeded: `NOT_FOUND: no such workflow`. */
  readonly problem: string | null;
}

export function tellingCalls(tell: (call: TemporalCall) => void): Interceptor {
  return (options, nextCall) => {
    const method = options.method_definition.path.split('/').at(-1) ?? '';
    let began = 0;
    let about: string | null = null;
    return new InterceptingCall(nextCall(options), {
      start(metadata, _listener, next) {
        began = performance.now();
        next(metadata, {
          onReceiveStatus(ended, forward) {
            const problem = ended.code === status.OK ? null : `${status[ended.code]}: ${ended.details}`;
            tell({ method, about, ms: performance.now() - began, problem });
            forward(ended);
          },
        });
      },
      sendMessage(message: unknown, next) {
        about = subject(method, message);
        next(message);
      },
    });
  };
}

interface Decoder {
  decode(bytes: Uint8Array): unknown;
}

/** Of the messages that name a workflow; by the names that Temporal's requests have for it. */
function subject(method: string, message: unknown): string | null {
  const types = proto.temporal.api.workflowservice.v1 as unknown as Record<string, Decoder | undefined>;
  const type = types[`${method}Request`];
  if (type === undefined || !(message instanceof Uint8Array)) return null;
  const request = type.decode(message);
  const words = [
    at(request, 'workflowId') ??
      at(request, 'workflowExecution', 'workflowId') ??
      at(request, 'execution', 'workflowId'),
    at(request, 'signalName') ?? at(request, 'query', 'queryType') ?? at(request, 'request', 'input', 'name'),
    at(request, 'query'),
  ].filter((word) => word !== null);
  return words.length === 0 ? null : words.join(' ');
}

function at(value: unknown, ...path: readonly string[]): string | null {
  const found = path.reduce<unknown>(
    (held, key) => (typeof held === 'object' && held !== null ? (held as Record<string, unknown>)[key] : undefined),
    value,
  );
  return typeof found === 'string' && found !== '' ? found : null;
}
