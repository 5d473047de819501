/** Log files that several processes append to, kept bounded. */
import { closeSync, copyFileSync, fstatSync, openSync, readSync, statSync, truncateSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const MAX_BYTES = 10 * 1024 * 1024;
const TAIL_BYTES = 256 * 1024;
const FOLLOW_MS = 200;

/** Moves what is in a file of more than 10 MB to `<file>.1`. Writers append, so they go on in the emptied one. */
export function boundLog(file: string): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= MAX_BYTES) return;
  copyFileSync(file, `${file}.1`);
  truncateSync(file);
}

/** The last `count` lines, as far as they are in the last 256 kB; empty when there is no file. */
export function lastLines(file: string, count: number): string {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const text = readRange(file, Math.max(0, size - TAIL_BYTES), size);
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines
    .slice(-count)
    .map((line) => `${line}\n`)
    .join('');
}

/** What is appended from now on, until the signal aborts. */
export async function* follow(file: string, signal: AbortSignal): AsyncGenerator<string> {
  let offset = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  while (!signal.aborted) {
    const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    if (size < offset) offset = 0;
    if (size > offset) yield readRange(file, offset, size);
    offset = size;
    await sleep(FOLLOW_MS, undefined, { signal }).catch(() => {});
  }
}

function readRange(file: string, from: number, to: number): string {
  if (to <= from) return '';
  const fd = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(Math.min(to, fstatSync(fd).size) - from);
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, from));
  } finally {
    closeSync(fd);
  }
}
