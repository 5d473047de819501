/**
 * Byte budgets, checked before a command is given: above 2 MB the Temporal server terminates a workflow, and nothing cleans up.
 * All sizes are bytes of UTF-8 JSON.
 */
export const STATE_TARGET_BYTES = 256 * 1024;
/** From here on an entity refuses new work; what it has goes on. */
export const STATE_REFUSE_BYTES = 1024 * 1024;
export const MEMO_BYTES = 2 * 1024;
export const RESULT_BYTES = 64 * 1024;
/** One task with its scripts and environment, as a command carries it. */
export const TASK_BYTES = 256 * 1024;
/** Offers that one launch walks through, and that a plan holds. */
export const LAUNCH_OFFERS = 50;
/** Answers kept for clients that repeat a command. */
export const REMEMBERED_REQUESTS = 200;
/** Finished jobs and finished operations that an entity keeps at hand. */
export const REMEMBERED_JOBS = 50;
export const REMEMBERED_OPERATIONS = 20;
/** Jobs that are not finished, on one cluster. */
export const LIVE_JOBS = 1_000;
/** Placements of failed launches shown to the user. */
export const REMEMBERED_TRIES = 20;
/** Ids are columns of 255 in some stores. */
export const WORKFLOW_ID_CHARS = 200;

/** Bytes of a value as JSON in UTF-8, without TextEncoder (workflows have none on every version). */
export function jsonBytes(value: unknown): number {
  const text = JSON.stringify(value) ?? '';
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit <= 0xdbff) {
      bytes += 4;
      i++;
    } else bytes += 3;
  }
  return bytes;
}
