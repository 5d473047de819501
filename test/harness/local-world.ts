/** The local cloud of one data directory as a test sees it from outside: machines, processes, and what jobs wrote. */
import { appendFileSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { askHost } from '../../clouds/local/control.ts';
import { LocalCloud } from '../../clouds/local/local.ts';
import { localPaths } from '../../clouds/local/paths.ts';
import type { Instance } from '../../model/machines.ts';
import { parseTask } from '../../model/parse-task.ts';
import { resourcesText } from '../../model/resources-text.ts';
import type { WrittenTask } from '../../model/task.ts';

export interface Launch {
  readonly task: WrittenTask;
  readonly resourcesText: string;
}

export class LocalWorld {
  readonly home: string;

  constructor(home: string) {
    this.home = home;
  }

  get cloud(): LocalCloud {
    return new LocalCloud(this.home, process.env);
  }

  /** YAML to what `clusters.launch` takes. */
  task(yaml: string): Launch {
    const task = parseTask(yaml, { file: 'test.yaml' });
    return { task, resourcesText: resourcesText(task) };
  }

  /** A file for jobs to append to, on the same disk as the instances. */
  ledger(name: string): { path: string; lines(): string[] } {
    const path = join(this.home, `ledger-${name}`);
    appendFileSync(path, '');
    return { path, lines: () => readFileSync(path, 'utf8').split('\n').filter(Boolean) };
  }

  /** All machines that this world's local cloud ever made and still knows of. */
  async machines(): Promise<Instance[]> {
    return await this.cloud.list({ region: 'local', zone: 'local-a' }, {});
  }

  async machinesLeft(): Promise<Instance[]> {
    return (await this.machines()).filter((instance) => instance.state !== 'terminated');
  }

  /** Processes of this machine that belong to an instance of this world. */
  processesLeft(): string[] {
    const left: string[] = [];
    const home = join(this.home, 'local', 'instances');
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const environ = readFileSync(`/proc/${pid}/environ`, 'utf8');
        if (environ.includes('STYX_INSTANCE=') && environ.includes(home)) {
          left.push(`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 120)}`);
        }
      } catch {
        // Ended meanwhile, or another user's.
      }
    }
    return left;
  }

  /** Ends the host and removes the directory. */
  async end(): Promise<void> {
    await askHost(localPaths(this.home), { op: 'exit' }, process.env).catch(() => undefined);
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
