/**
 * The process that stands for all machines of the local cloud of one STYX_HOME. Started by `control.ts` with the lock held;
 * may be killed at any moment: the next one finds everything in the files. Argument: the data directory.
 */
import { chmodSync, rmSync, statSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { StyxError } from '../../model/errors.ts';
import { createLog } from '../../system/log.ts';
import { BEAT_LOOK_MS, SharedAgents } from './agents.ts';
import { probeContainment } from './containment.ts';
import { HOST_VERSION, type HostAnswer, type HostInfo, type HostRequest } from './control.ts';
import { Fleet } from './fleet.ts';
import { controlSocket, localPaths } from './paths.ts';
import type { HostLog } from './records.ts';

/** With nothing running and nobody asking for so long, the host ends. */
const IDLE_MS = 3 * 60_000;
const WATCH_MS = 250;
const PRUNE_MS = 10 * 60_000;
const REQUEST_BYTES = 16 * 1024 * 1024;

process.umask(0o077);
process.title = 'styx-local-host';
const root = process.argv[2];
if (root === undefined) throw new Error('usage: host.ts DIRECTORY');
const paths = localPaths(dirname(root));
const mode = probeContainment(process.env);
const lockInode = statSync(paths.lock).ino;
let lastAsked = Date.now();
const hostLog = createLog('host');
let logged = 0;

/** What a broken instance repeats must not fill the disk. */
const log: HostLog = (line, more = {}) => {
  if (logged > 10_000) return;
  logged += 1;
  hostLog[more.error === undefined ? 'info' : 'error'](more, line);
};

const agents = mode === 'namespace' ? new SharedAgents(paths.root, log) : null;
const fleet = new Fleet({ paths, mode, log, agents });

/** What is done is done when this returns; an answer may take longer. */
function perform(request: HostRequest): unknown {
  switch (request.op) {
    case 'info':
      return { pid: process.pid, version: HOST_VERSION, mode, rss: process.memoryUsage.rss() } satisfies HostInfo;
    case 'exit':
      setImmediate(exit, 'asked to');
      return null;
    case 'create':
      return fleet.create(request.request);
    case 'list':
      return fleet.list(request.filter);
    case 'owned':
      return fleet.owned(request.installation);
    case 'stop':
      fleet.stop(request.ids);
      return null;
    case 'start':
      fleet.start(request.ids);
      return null;
    case 'terminate':
      fleet.terminate(request.placementKey);
      return null;
    case 'open':
      return fleet.openTargets(request.ids, request.targets);
    case 'preempt':
      fleet.preempt(request.id, request.noticeMs);
      return null;
  }
}

async function answer(line: string): Promise<HostAnswer | undefined> {
  try {
    const { version, ...request } = JSON.parse(line) as HostRequest & { version: number };
    if (version !== HOST_VERSION) {
      // Without an answer the caller starts its own host, which finds the lock free.
      exit(`asked by version ${version}`);
      return undefined;
    }
    return { ok: await perform(request) };
  } catch (error) {
    if (error instanceof StyxError) return { error: error.toFailure() };
    log('a request failed', { error });
    return { error: { kind: 'internal', message: error instanceof Error ? error.message : String(error) } };
  }
}

function serve(socket: Socket): void {
  let text = '';
  lastAsked = Date.now();
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: string) => {
    text += chunk;
    if (text.length > REQUEST_BYTES) socket.destroy();
    const end = text.indexOf('\n');
    if (end < 0) return;
    socket.removeAllListeners('data').resume();
    void answer(text.slice(0, end)).then((reply) => {
      if (reply === undefined) socket.destroy();
      else socket.end(`${JSON.stringify(reply)}\n`);
    });
  });
}

function exit(why: string): void {
  log(`ends: ${why}`);
  fleet.close();
  rmSync(socketPath, { force: true });
  if (dirname(socketPath) !== paths.root) rmSync(dirname(socketPath), { recursive: true, force: true });
  process.exit(0);
}

function stillThere(): boolean {
  try {
    return statSync(paths.lock).ino === lockInode;
  } catch {
    return false;
  }
}

const socketPath = controlSocket(paths.root);
fleet.load();
// Only the holder of the lock comes here, so a socket that is there belongs to a dead host.
rmSync(socketPath, { force: true });
const server = createServer(serve);
server.once('error', (error) => exit(`cannot listen on ${socketPath}: ${error.message}`));
server.listen(socketPath, 512, () => chmodSync(socketPath, 0o600));
log(`serves ${paths.root} (${mode}), ready after ${Math.round(performance.now())} ms`);
process.on('uncaughtException', (error) => log('uncaught', { error }));
process.on('unhandledRejection', (error) => log('unhandled', { error }));
process.on('SIGTERM', () => exit('SIGTERM'));

let abandoned = false;
setInterval(() => {
  if (abandoned) return;
  if (!stillThere()) {
    abandoned = true;
    log('the data directory is gone');
    void fleet.abandon().finally(() => exit('nothing to serve'));
    return;
  }
  fleet.watch();
  if (fleet.busy > 0) lastAsked = Math.max(lastAsked, Date.now() - IDLE_MS / 2);
  else if (Date.now() - lastAsked > IDLE_MS) exit('idle');
}, WATCH_MS);
setInterval(() => agents?.watch(), BEAT_LOOK_MS);
setInterval(() => fleet.prune(Date.now()), PRUNE_MS);
fleet.prune(Date.now());
