/** `$NAME` and `${NAME}` where SkyPilot puts values in: `file_mounts`, `service`, `workdir`, `volumes`, and nowhere else. */
import { isMap } from './field.ts';

const VARIABLE = /\$\{?\b([a-zA-Z_][a-zA-Z0-9_]*)\b\}?/g;
const SUBSTITUTED = ['file_mounts', 'service', 'workdir', 'volumes'];

/** Keys of maps included; a name that has no value stays as it is. */
export function substituted(
  task: Readonly<Record<string, unknown>>,
  values: ReadonlyMap<string, string>,
): Record<string, unknown> {
  if (values.size === 0) return { ...task };
  return Object.fromEntries(
    Object.entries(task).map(([name, value]) => [name, SUBSTITUTED.includes(name) ? filled(value, values) : value]),
  );
}

function filled(value: unknown, values: ReadonlyMap<string, string>): unknown {
  if (typeof value === 'string') return value.replace(VARIABLE, (whole, name: string) => values.get(name) ?? whole);
  if (Array.isArray(value)) return value.map((item) => filled(item, values));
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [filled(key, values), filled(held, values)]));
}
