/** Are the directories and files of this machine there that a task brings to its nodes? */
import { type Stats, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { Finding } from '../model/parse-task.ts';
import { schemeOf } from '../model/spec/storage.ts';
import type { TaskSpec } from '../model/spec/task.ts';

/** The path from the working directory, `~` being the home. */
function localPath(path: string): string {
  return resolve(path.replace(/^~(?=\/|$)/, homedir()));
}

function statOf(path: string): Stats | null {
  try {
    return statSync(localPath(path));
  } catch {
    return null;
  }
}

/** Of SkyPilot's own, which its server has. */
const KEPT_ELSEWHERE = /^skypilot:/;

export function missingSources(task: TaskSpec): Finding[] {
  const findings: Finding[] = [];
  const { workdir } = task;
  if (workdir?.kind === 'path' && statOf(workdir.path)?.isDirectory() !== true) {
    findings.push({ path: ['workdir'], message: `there is no directory ${workdir.path} here` });
  }
  for (const [target, mount] of Object.entries(task.fileMounts)) {
    const at = ['file_mounts', target];
    if (mount.kind === 'local' && !KEPT_ELSEWHERE.test(mount.source) && statOf(mount.source) === null) {
      findings.push({ path: at, message: `there is no file or directory ${mount.source} here` });
    }
    if (mount.kind === 'storage') {
      const message = storageFinding(mount.storage.source);
      if (message !== null) findings.push({ path: [...at, 'source'], message });
    }
  }
  return findings;
}

function storageFinding(source: string | readonly string[] | null): string | null {
  if (typeof source === 'string') {
    if (schemeOf(source) !== '') return null;
    const stats = statOf(source);
    if (stats === null) return `there is no directory ${source} here`;
    return stats.isFile() ? `is a file; write source: [${source}] to bring one file` : null;
  }
  const missing = source?.find((one) => statOf(one) === null);
  return missing === undefined ? null : `there is no file or directory ${missing} here`;
}
