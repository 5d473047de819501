/**
 * What a task leaves for those that depend on it: lines `key=value` in the file that STYX_OUTPUT names, read at the end of a run that
 * ended with 0. Dependents have them as environment variables, and in templates of their `envs`.
 */
export type Outputs = Readonly<Record<string, string>>;

/** Of one task's file. The agent reads a byte more (agent/process.py). */
export const OUTPUT_BYTES = 8 * 1024;

const KEY = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;

/** The last line of a key counts. `problem`: why they cannot be used; the task failed then. */
export function readOutputs(text: string): { outputs: Outputs; problem: null } | { outputs: null; problem: string } {
  const bad = (problem: string) => ({ outputs: null, problem: `STYX_OUTPUT: ${problem}` });
  if (utf8Bytes(text) > OUTPUT_BYTES) {
    return bad(`more than ${OUTPUT_BYTES / 1024} kB were written; put what is large into a file or a bucket`);
  }
  const outputs: [string, string][] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line.trim() === '') continue;
    const equals = line.indexOf('=');
    const key = line.slice(0, Math.max(0, equals));
    if (!KEY.test(key)) {
      const shown = line.length <= 40 ? line : `${line.slice(0, 40)}…`;
      return bad(
        `line ${index + 1} is not of the form key=value, with a key of letters, digits, "_" and "-": '${shown}'`,
      );
    }
    const value = line.slice(equals + 1);
    if (value.includes('\0')) return bad(`line ${index + 1} holds a NUL character`);
    outputs.push([key, value]);
  }
  return { outputs: Object.fromEntries(outputs), problem: null };
}

function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}
