/** `Node` over an agent's channel. Bound to it: once it breaks, all calls fail as `unreachable`, and the pool makes another. */
import type { AgentChannel } from './channel.ts';
import type { AgentEvent, Lease, LogChunk, LogRequest, Node, NodeStats, ProcessState, StartRequest } from './node.ts';

/** The agent's windows (agent/streams.py). */
const LOG_WINDOW = 256 * 1024;
const EVENT_WINDOW = 256;

export class RemoteNode implements Node {
  readonly instanceId: string;
  readonly hostKey: string;
  readonly agentVersion: string;
  readonly #channel: AgentChannel;

  constructor(instanceId: string, hostKey: string, agentVersion: string, channel: AgentChannel) {
    this.instanceId = instanceId;
    this.hostKey = hostKey;
    this.agentVersion = agentVersion;
    this.#channel = channel;
  }

  start(request: StartRequest): Promise<ProcessState> {
    return this.#channel.request('start', request);
  }

  processes(jobKey?: string): Promise<ProcessState[]> {
    return this.#channel.request('processes', jobKey === undefined ? {} : { jobKey });
  }

  cancel(jobKey: string, graceMs: number): Promise<void> {
    return this.#done('cancel', { jobKey, graceMs });
  }

  events(since: number, signal: AbortSignal): AsyncIterable<AgentEvent> {
    const convert = (message: { event: AgentEvent }) => message.event;
    return this.#channel.stream('events', { since }, convert, () => 1, EVENT_WINDOW, signal);
  }

  logs(request: LogRequest, signal: AbortSignal): AsyncIterable<LogChunk> {
    const convert = (message: { offset: number; data: string }): LogChunk => ({
      offset: message.offset,
      data: Buffer.from(message.data, 'base64'),
    });
    return this.#channel.stream('logs', request, convert, (chunk) => chunk.data.length, LOG_WINDOW, signal);
  }

  stats(): Promise<NodeStats> {
    return this.#channel.request('stats');
  }

  setLease(lease: Lease): Promise<void> {
    return this.#done('setLease', { lease });
  }

  contact(): Promise<void> {
    return this.#done('contact');
  }

  async #done(operation: string, fields: object = {}): Promise<void> {
    await this.#channel.request(operation, fields);
  }
}
