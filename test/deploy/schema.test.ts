/** The files of deploy/ by the schemas of those who read them. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { styxCache } from '../../system/home.ts';
import { testDir } from '../harness/processes.ts';
import { ROOT, read } from './files.ts';

const PACKAGES = ['compose-spec==0.2.1', 'kubernetes-validate==1.37.0'];
const KUBERNETES = '1.33';

/** 160 MB: installed by `npm run test:postgres` alone. */
function python(): string | null {
  const home = join(styxCache(), 'deploy-schemas-1');
  const found = join(home, 'bin', 'python');
  const well = () => spawnSync(found, ['-c', 'import compose_spec, kubernetes_validate']).status === 0;
  if (existsSync(found) && well()) return found;
  if (process.env.STYX_TEST_SERVER !== 'postgres') return null;
  mkdirSync(styxCache(), { recursive: true });
  rmSync(home, { recursive: true, force: true });
  if (spawnSync('python3', ['-m', 'venv', home]).status !== 0) return null;
  spawnSync(found, ['-m', 'pip', 'install', '--quiet', ...PACKAGES], { stdio: 'inherit' });
  return well() ? found : null;
}

const schemas = python();
const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;
if (schemas === null) console.log('SKIPPED: schemas of compose and Kubernetes: npm run test:postgres installs them');
if (!hasKubectl) console.log('SKIPPED: what kustomize makes of the manifests: there is no kubectl');

function run(command: string, args: readonly string[], input?: string) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    ...(input === undefined ? {} : { input }),
  });
  return { well: status === 0, stdout, said: `${stdout}${stderr}` };
}

describe('the compose file', () => {
  const CHECK =
    'import sys, compose_spec; file = compose_spec.PyCompose.from_yaml(sys.stdin.read()); file.validate(); print(len(file))';
  const check = (text: string) => run(schemas ?? '', ['-c', CHECK], text);

  test.skipIf(schemas === null)('is one by the specification of compose', () => {
    const text = read('deploy/docker-compose.yml');
    expect(check(text)).toMatchObject({ well: true });
    expect(check(text.replace('healthcheck:', 'healthchek:')).said).toContain('healthchek');
    expect(check(text.replace('period: 60s', 'period: sixty')).said).toContain('sixty');
  });
});

describe.skipIf(!hasKubectl)('the manifests', () => {
  const scratch = testDir();
  const deploy = join(scratch, 'deploy');
  let made = '';

  beforeAll(() => {
    cpSync(join(ROOT, 'deploy'), deploy, { recursive: true });
    const prepared = run('sh', [join(deploy, 'kubernetes', 'prepare.sh')]);
    expect(prepared.well, prepared.said).toBe(true);
    const built = run('kubectl', ['kustomize', join(deploy, 'kubernetes')]);
    expect(built.well, built.said).toBe(true);
    made = built.stdout;
  });
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  test('are what kustomize makes something of, with certificates and configuration in it', () => {
    for (const kind of ['StatefulSet', 'Deployment', 'NetworkPolicy', 'Secret', 'ConfigMap', 'PersistentVolumeClaim']) {
      expect(made).toMatch(new RegExp(`^kind: ${kind}$`, 'm'));
    }
    expect(made).toContain('# enable-template');
    expect(made).not.toMatch(/image: (?:styx|postgres|temporalio\/\w+)$/m);
  });

  test.skipIf(schemas === null)('are valid for Kubernetes, every field known', () => {
    const file = join(scratch, 'made.yaml');
    const validate = (text: string) => {
      writeFileSync(file, text);
      return run(schemas ?? '', ['-m', 'kubernetes_validate', '-k', KUBERNETES, '--strict', file]);
    };
    expect(validate(made)).toMatchObject({ well: true });
    expect(validate(made.replaceAll('readinessProbe:', 'readynessProbe:')).well).toBe(false);
  });
});
