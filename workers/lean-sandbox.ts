/**
 * Loaded before all else in a worker process (`workers/worker-command.ts`) and in its threads, where workflows run. Two services of the
 * SDK's sandbox took half of a worker's CPU, since without a cache every task replays its workflow: a stack trace for every promise, and a thread that is
 * started for every call into the sandbox to end it after five seconds. The first is left out (the Web UI's "Call Stack" says so). In
 * place of the second the main thread watches: a call that does not come back ends the process, which the supervisor starts again
 * (docs/decisions/014-lean-sandbox.md).
 */
import v8 from 'node:v8';
import vm from 'node:vm';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';

const KEY = 'styx: calls into workflow sandboxes';
/** Threads that are watched; each workflow worker has one. */
const THREADS = 64;
const LOOK_MS = 2_500;
/** A call that is seen this often has lasted more than seven seconds of this process's own time. */
const LOOKS = 4;

/** One number a thread, counted up at the start and at the end of each call: odd while a call runs. The last is of the next thread. */
type Calls = Int32Array<SharedArrayBuffer>;

function watch(): void {
  const calls: Calls = new Int32Array(new SharedArrayBuffer((THREADS + 1) * Int32Array.BYTES_PER_ELEMENT));
  setEnvironmentData(KEY, calls);
  const seen = new Int32Array(THREADS);
  const looks = new Int32Array(THREADS);
  setInterval(() => {
    for (let thread = 0; thread < THREADS; thread++) {
      const count = Atomics.load(calls, thread);
      const same = count % 2 !== 0 && count === seen[thread] ? (looks[thread] ?? 0) + 1 : 0;
      seen[thread] = count;
      looks[thread] = same;
      if (same < LOOKS) continue;
      process.stderr.write(
        `${new Date().toISOString()} ERROR workflow code ran for ${LOOKS * LOOK_MS} ms without a pause\n`,
      );
      process.exit(1);
    }
  }, LOOK_MS).unref();
}

function lighten(calls: Calls): void {
  const thread = Atomics.add(calls, THREADS, 1) % THREADS;
  const { runInContext } = vm.Script.prototype;
  vm.Script.prototype.runInContext = function (this: vm.Script, context, options) {
    if (options?.timeout === undefined) return runInContext.call(this, context, options);
    const { timeout: _, ...rest } = options;
    Atomics.add(calls, thread, 1);
    try {
      return runInContext.call(this, context, rest);
    } finally {
      Atomics.add(calls, thread, 1);
    }
  };
  v8.promiseHooks.createHook = () => {
    throw new Error('stack traces of workflows are switched off');
  };
}

if (isMainThread) {
  watch();
} else {
  const calls = getEnvironmentData(KEY);
  if (calls instanceof Int32Array) lighten(calls as Calls);
}
