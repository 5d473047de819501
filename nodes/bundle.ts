/** The agent as it is shipped: its source files in one JSON object, named by the hash of their content. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface AgentBundle {
  readonly version: string;
  /** JSON {name: text}. */
  readonly payload: Buffer;
}

let built: AgentBundle | null = null;

export function agentBundle(folder = fileURLToPath(new URL('../agent/', import.meta.url))): AgentBundle {
  built ??= bundleOf(folder);
  return built;
}

export function bundleOf(folder: string): AgentBundle {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.py'))
    .sort();
  const files = Object.fromEntries(names.map((name) => [name, readFileSync(`${folder}/${name}`, 'utf8')]));
  const payload = Buffer.from(JSON.stringify(files));
  return { version: createHash('sha256').update(payload).digest('hex').slice(0, 16), payload };
}
