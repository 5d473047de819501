/** `$NAME` and `${NAME}` where SkyPilot puts values in: `file_mounts`, `service`, `workdir`, `volumes`, and nowhere else. */
import { isMap } from './field.ts';

const VARIABLE = /\$\{?\b([a-zA-Z_][a-zA-Z0-9_]*)\b\}?/g;
const SUBSTITUTED = ['file_mounts', 'service', 'workdir', 'volumes'];

/** What may come of a file when a long value is put in many times. */
const MAX_CHARACTERS = 1024 * 1024;

/** Keys of maps included; a name that has no value stays as it is. null: more than a megabyte would come of it. */
export function substituted(
  task: Readonly<Record<string, unknown>>,
  values: ReadonlyMap<string, string>,
): Record<string, unknown> | null {
  if (values.size === 0) return { ...task };
  let left = MAX_CHARACTERS;
  const inText = (text: string) =>
    text.replace(VARIABLE, (whole, name: string) => {
      const value = left < 0 ? undefined : values.get(name);
      left -= value?.length ?? 0;
      return value ?? whole;
    });
  const filled = (value: unknown): unknown => {
    if (typeof value === 'string') return inText(value);
    if (Array.isArray(value)) return value.map(filled);
    if (!isMap(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, held]) => [inText(key), filled(held)]));
  };
  const done = Object.entries(task).map(([name, value]) => [name, SUBSTITUTED.includes(name) ? filled(value) : value]);
  return left < 0 ? null : Object.fromEntries(done);
}
