/**
 * A machine seen from outside. `nodes/` implements this over SSH: one connection a node carries one long channel
 * (`agent serve`), over which all requests are multiplexed; further sessions come from a pool.
 * Every call throws StyxError `unreachable` when the node cannot be talked to, which says nothing about whether it exists.
 */
import type { ProcessPhase } from '../model/job-messages.ts';
import type { MachineNotice, NoticeSource } from '../model/machine-notices.ts';
import type { PowerOff } from '../model/machines.ts';
import type { RunOptions, RunResult } from './run.ts';

/** Where a node is and who it must prove to be. */
export interface NodeAddress {
  readonly instanceId: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** OpenSSH public key line; null: accept and report the key of the first contact. */
  readonly hostKey: string | null;
  /** OpenSSH private key text (ed25519). */
  readonly privateKey: string;
  /** `cloud/region` whose `ssh_proxy_command` leads there, as it is when the connection is made; absent: it is connected to. */
  readonly via?: string;
  /** Milliseconds that one try to connect may take, in place of what the pool gives it. */
  readonly connectTimeout?: number;
}

/** One process of one job on one node; the agent starts it at most once, whoever asks how often. */
export interface StartRequest {
  /** Unique over the life of the node: generation and job number. Characters [A-Za-z0-9._-]. */
  readonly jobKey: string;
  readonly phase: ProcessPhase;
  readonly rank: number;
  /** Run as `bash -i` in ~/sky_workdir, without -e. */
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  /** Go over `env`; kept on the node until the shell has read them, and masked in the agent's own words. */
  readonly secrets?: Readonly<Record<string, string>>;
  /**
   * The shell begins with the base of conda activated, which is installed where there is none, in place of ~/sky-user-env; neither
   * when the user's start file activates another. Default false.
   */
  readonly conda?: boolean;
  /** Address of the Ray that runs on the node: the shell begins with its environment activated, and finds it. Absent: it uses none. */
  readonly ray?: string;
  /** Workflow id that the exit is reported to; carried through events. */
  readonly owner: string;
}

export interface ProcessState {
  readonly jobKey: string;
  readonly phase: ProcessPhase;
  readonly rank: number;
  readonly owner: string;
  readonly state: 'running' | 'exited';
  /** Signals as 128 + n; null while running. 137 too when the process vanished without a word (`lost`). */
  readonly exitCode: number | null;
  readonly lost: boolean;
  readonly cancelled: boolean;
  /** It was told to end because the cloud takes the machine back then, Unix seconds. Absent in what an older agent says. */
  readonly interrupted?: number | null;
  /** Unix seconds. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** What rank 0 of a run that ended with 0 wrote to the file named by STYX_OUTPUT; absent: nothing. Cut a byte above what is taken. */
  readonly output?: string;
}

/** `seq` counts up from 1 on a node, over agent restarts; a reader that gives the last one it handled misses nothing. */
export type AgentEvent =
  | { readonly seq: number; readonly type: 'exited'; readonly process: ProcessState }
  /** Established SSH sessions of people (not ours), when the number changes. */
  | { readonly seq: number; readonly type: 'sessions'; readonly count: number }
  /** The last line that rank 0 of a run wrote to the file named by STYX_PROGRESS, at most 64 signs: at its end, and before that when it has changed enough. */
  | { readonly seq: number; readonly type: 'progress'; readonly jobKey: string; readonly line: string }
  | {
      readonly seq: number;
      readonly type: 'power-off';
      readonly action: 'stop' | 'terminate';
      readonly reason: string;
    }
  /** The cloud said that it takes the machine back, or may soon; `at` in Unix seconds. Its jobs are told to end at an interruption. */
  | { readonly seq: number; readonly type: 'notice'; readonly kind: MachineNotice['kind']; readonly at: number };

/** What a node may do by itself when nobody talks to it any more. All times are milliseconds. */
export interface Lease {
  /** The autostop rule in force; null: none. */
  readonly idle: {
    readonly after: number;
    readonly waitFor: 'jobs_and_ssh' | 'jobs' | 'none';
    readonly powerOff: PowerOff;
  } | null;
  /** Without contact and without a job for this long; null where the cloud can do nothing that saves money. */
  readonly deadman: { readonly after: number; readonly powerOff: PowerOff } | null;
  /** Contact counts as lost after this silence; only then does the agent act. */
  readonly contactLost: number;
  /** Where the machine hears that it is taken back; null: nowhere. Its jobs are told to end then, whoever else lives. */
  readonly notices: NoticeSource | null;
}

export interface NodeStats {
  readonly bootId: string;
  /** 0 … 1 over the last interval. */
  readonly cpu: number;
  readonly memoryUsed: number;
  readonly memoryTotal: number;
  readonly diskUsed: number;
  readonly diskTotal: number;
  readonly gpus: readonly {
    readonly name: string;
    readonly used: number;
    readonly memoryUsed: number;
    readonly memoryTotal: number;
  }[];
  readonly sessions: number;
  readonly running: number;
}

export interface LogChunk {
  /** Bytes from the beginning of the log to the first byte of `data`. */
  readonly offset: number;
  readonly data: Buffer;
}

export interface LogRequest {
  readonly jobKey: string;
  readonly phase: ProcessPhase;
  readonly rank: number;
  /** Start here; negative: that many last lines. */
  readonly from: { readonly offset: number } | { readonly lastLines: number };
  /** Go on until the process ended and all was read. */
  readonly follow: boolean;
  /** A log that was read to its end is looked at again after so many ms, or when its process ends. Default: 20, and up to 250 while nothing comes. */
  readonly paceMs?: number;
}

export interface Node {
  readonly instanceId: string;
  /** The key that the host proved, as an OpenSSH public key line. */
  readonly hostKey: string;
  readonly agentVersion: string;
  /** Answers the state of the process, started now or earlier; never starts a second. */
  start(request: StartRequest): Promise<ProcessState>;
  /** All processes that the agent knows of, or those of one job. */
  processes(jobKey?: string): Promise<ProcessState[]>;
  /** Ends the whole tree of a job's processes here: SIGTERM, then SIGKILL after `graceMs`. Also bars later starts of the job. Answers at once; the exit comes as an event. */
  cancel(jobKey: string, graceMs: number): Promise<void>;
  /** Events after `since`, then new ones as they happen, until `signal` aborts. Throws `unreachable` when the connection goes. */
  events(since: number, signal: AbortSignal): AsyncIterable<AgentEvent>;
  logs(request: LogRequest, signal: AbortSignal): AsyncIterable<LogChunk>;
  stats(): Promise<NodeStats>;
  setLease(lease: Lease): Promise<void>;
  /** "You are not alone": restarts the agent's clock of lost contact. */
  contact(): Promise<void>;
}

/** What a node is to have of a job's files. A job's files are put on a node once: asked again, it answers that they are there. */
export interface ReceiveRequest {
  readonly jobKey: string;
  /** In this order. */
  readonly trees: readonly ReceivedTree[];
}

export interface ReceivedTree {
  /** `~/…`, or absolute. */
  readonly target: string;
  /** The name of the snapshot that it shall hold. */
  readonly manifest: string;
  /** Where an absolute target is to be written to: its machine has made room there. Without it such a target is refused. */
  readonly at?: string;
}

export interface FilesSource {
  manifest(hash: string): Promise<Buffer>;
  /** The bytes of these entries of a manifest ([first, last] pairs), one after the other. */
  content(manifest: string, ranges: readonly (readonly [number, number])[]): AsyncIterable<Buffer>;
}

/** What had to be sent. */
export interface Received {
  readonly files: number;
  readonly bytes: number;
}

/** Connections by node, shared by all activities of a process; a broken one is replaced on the next use. */
export interface NodePool {
  /**
   * Connects, puts the agent there or replaces one of another version (its jobs go on), and starts it. Idempotent, and
   * cheap when all is in place: one round trip on an open connection.
   */
  node(address: NodeAddress, signal?: AbortSignal): Promise<Node>;
  /**
   * Makes trees on the node equal to snapshots, sending what it lacks. May be repeated, also at the same time.
   * @throws aborted when the job was cancelled there, invalid for a target that cannot be used
   */
  receive(address: NodeAddress, request: ReceiveRequest, source: FilesSource, signal?: AbortSignal): Promise<Received>;
  /** Runs a program on the node, as ours: it does not count as a session of people. @throws unreachable */
  exec(address: NodeAddress, command: readonly string[], options?: RunOptions): Promise<RunResult>;
  close(): Promise<void>;
}
