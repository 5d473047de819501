/**
 * The workflow code as the sandbox loads it, bundled once: `dist/workflows-<hash>.js`, where the hash covers everything
 * that goes into it. A file with the right name is right, so several processes can build at once, and an old worker
 * keeps its own.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { styxCache, writeAtomically } from '../system/home.ts';
import { FAILURE_CONVERTER } from './sealing.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = ['model', 'workflows'];
/** What else decides the bundle: this file's settings, and the versions of all that is bundled. */
const INPUTS = ['package-lock.json', 'workers/bundle.ts'];
const KEEP_OLD_MS = 24 * 60 * 60_000;

export interface WorkflowBundle {
  readonly codePath: string;
  readonly hash: string;
}

export function bundleHash(root = ROOT): string {
  const hash = createHash('sha256');
  const sources = SOURCES.flatMap((dir) =>
    readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(dir, name)),
  );
  for (const file of [...INPUTS, ...sources.sort()]) {
    const path = join(root, file);
    if (existsSync(path)) hash.update(`${file}\0`).update(readFileSync(path)).update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

/** The bundle of the code as it is now, built (1-2 s) when it is not there yet. */
export async function workflowBundle(onProgress: (message: string) => void = () => {}): Promise<WorkflowBundle> {
  const hash = bundleHash();
  const name = `workflows-${hash}.js`;
  const places = [join(ROOT, 'dist'), join(styxCache(), 'dist')];
  const found = places.map((dir) => join(dir, name)).find((path) => existsSync(path));
  if (found !== undefined) return { codePath: found, hash };
  onProgress('bundling the workflows');
  const code = await bundle(join(ROOT, 'workflows', 'index.ts'));
  for (const dir of places) {
    try {
      mkdirSync(dir, { recursive: true });
      writeAtomically(join(dir, name), code, 0o644);
      removeOld(dir, name);
      return { codePath: join(dir, name), hash };
    } catch (error) {
      const readOnly = ['EACCES', 'EROFS', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
      if (!readOnly || dir === places.at(-1)) throw error;
    }
  }
  throw new Error('unreachable');
}

/**
 * Bundled code of a module that exports workflow functions, with what seals and opens their messages. Its modules are evaluated once a
 * worker and shared by all workflows, not once a workflow task, which took a third of a worker's CPU: they may hold no state
 * (test/architecture.test.ts).
 * @param more paths of modules with interceptors of a test's own
 */
export async function bundle(workflowsPath: string, more: readonly string[] = []): Promise<string> {
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const interceptors = [join(ROOT, 'workflows', 'interceptors.ts'), ...more];
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    workflowInterceptorModules: interceptors,
    failureConverterPath: FAILURE_CONVERTER,
    preloadModules: [workflowsPath, ...interceptors],
    logger: new DefaultLogger('WARN'),
  });
  return code;
}

function removeOld(dir: string, current: string): void {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    if (name.startsWith('workflows-') && name !== current && Date.now() - statSync(path).mtimeMs > KEEP_OLD_MS) {
      rmSync(path, { force: true });
    }
  }
}
