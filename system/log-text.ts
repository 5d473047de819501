/** A line of a log as people read it. What is no line of ours (a crash, another program's log) stays as it is. */

/** Said in another place of the line. */
const SHOWN = new Set(['level', 'time', 'part', 'pid', 'msg', 'error']);

export function logLineText(line: string): string {
  const entry = parsed(line);
  if (entry === null) return printable(line);
  const { time, level, msg, error } = entry;
  const ids = Object.entries(entry).filter(([key, value]) => !SHOWN.has(key) && value !== undefined);
  const details = ids.map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const head = [
    String(time).slice(0, 23).replace('T', ' '),
    String(level).toUpperCase().padEnd(5),
    typeof msg === 'string' ? msg : '',
    ...(details.length === 0 ? [] : [`(${details.join(', ')})`]),
  ];
  const text = [head.join(' '), ...errorText(error).split('\n').filter(Boolean)];
  return text.map((each, index) => printable(index === 0 ? each : `    ${each}`)).join('\n');
}

/** One line of JSON: our own as it was written, anything else as the message of its part. */
export function logLineJson(part: string, line: string): string {
  return parsed(line) === null ? JSON.stringify({ part, msg: line }) : line;
}

/** What a process said last, in one sentence: of our own line its message and its error's. */
export function lastWords(line: string): string {
  const entry = parsed(line);
  if (entry === null) return printable(line.trim());
  const { msg, error } = entry;
  const why = typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : '';
  return printable([msg, why].filter((text, index, all) => text && all.indexOf(text) === index).join(': '));
}

function parsed(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null;
  try {
    const entry = JSON.parse(line) as Record<string, unknown>;
    return typeof entry.time === 'string' && typeof entry.level === 'string' && 'part' in entry ? entry : null;
  } catch {
    return null;
  }
}

function errorText(error: unknown): string {
  if (typeof error !== 'object' || error === null) return error === undefined ? '' : String(error);
  const { stack, message } = error as { stack?: unknown; message?: unknown };
  return String(stack ?? message ?? JSON.stringify(error));
}

/** Text that cannot move the cursor or change colours. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) => (char === '\t' ? char : '?'));
}
