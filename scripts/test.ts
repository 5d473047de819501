/**
 * Runs the checks (types, lint, dead code), the agent's tests by pytest and all others by vitest, and sums them up in the last line.
 * A check that fails counts as one failed test. Arguments are passed on to vitest.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { styxCache } from '../system/home.ts';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const AGAIN_WITHIN_MS = 70 * 60_000;

const root = join(import.meta.dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'styx-test-run-'));
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const problems: string[] = [];

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): boolean {
  const { status } = spawnSync(program, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  return status === 0;
}

function add(name: string, counts: Counts): void {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  if (counts.failed > 0) problems.push(`${name}: ${counts.failed} failed`);
}

function check(name: string, program: string, args: readonly string[]): void {
  console.log(`\n== ${name}`);
  if (run(join(root, 'node_modules', '.bin', program), args)) return;
  add(name, { passed: 0, failed: 1, skipped: 0 });
}

function pytest(): void {
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /(^|\/)test_[^/]*\.py$/.test(name),
  );
  if (files.length === 0) return;
  console.log('\n== pytest');
  const python = pythonWithPytest();
  if (python === null) {
    console.log(
      `SKIPPED: ${files.length} files of Python tests, since pytest can neither be found nor installed (python3-venv?)`,
    );
    add('pytest', { passed: 0, failed: 0, skipped: files.length });
    return;
  }
  const first = runPytest(python);
  if (!mayRunAgain(first.failed)) return add('pytest', first);
  console.log(`\n== pytest, once more and alone: ${first.failed} tests that failed`);
  const again = runPytest(python, '--last-failed', '--last-failed-no-failures=none');
  if (again.failed === 0) problems.push('pytest: some passed only when they ran once more, see above');
  add('pytest', { ...first, passed: first.passed + first.failed - again.failed, failed: again.failed });
}

function runPytest(python: string, ...more: readonly string[]): Counts {
  const report = join(scratch, 'pytest.xml');
  rmSync(report, { force: true });
  const options = ['-q', '-o', `cache_dir=${join(scratch, 'pytest')}`, `--junit-xml=${report}`, ...more];
  const well = run(python, ['-m', 'pytest', ...options, 'test'], { PYTHONDONTWRITEBYTECODE: '1' });
  const xml = existsSync(report) ? readFileSync(report, 'utf8') : '';
  const count = (name: string) => Number(new RegExp(`<testsuite [^>]*\\b${name}="(\\d+)"`).exec(xml)?.[1] ?? 0);
  const failed = count('failures') + count('errors');
  return {
    passed: count('tests') - failed - count('skipped'),
    failed: failed === 0 && !well ? 1 : failed,
    skipped: count('skipped'),
  };
}

/** Where CI asks for it. More failures than this are no matter of a busy machine, and whoever waits for so long waits no longer. */
function mayRunAgain(failed: number): boolean {
  return Boolean(process.env.CI) && failed > 0 && failed <= 5 && performance.now() < AGAIN_WITHIN_MS;
}

/** The system's, else one in a virtual environment in the cache, made on the first run. */
function pythonWithPytest(): string | null {
  const hasPytest = (python: string) =>
    spawnSync(python, ['-m', 'pytest', '--version'], { stdio: 'ignore' }).status === 0;
  if (hasPytest('python3')) return 'python3';
  const venv = join(styxCache(), 'pytest');
  const python = join(venv, 'bin', 'python');
  if (hasPytest(python)) return python;
  console.log(`installing pytest into ${venv}`);
  rmSync(venv, { recursive: true, force: true });
  const made = run('python3', ['-m', 'venv', venv]) && run(python, ['-m', 'pip', 'install', '-q', 'pytest']);
  return made && hasPytest(python) ? python : null;
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  success: boolean;
  testResults: { name: string; status: string; assertionResults: { status: string; fullName: string }[] }[];
}

/** Null: it came to no report. */
function runVitest(args: readonly string[]): { report: VitestReport; counts: Counts } | null {
  const file = join(scratch, 'vitest.json');
  rmSync(file, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const well = run(join(root, 'node_modules', '.bin', 'vitest'), ['run', ...reporters, ...args]);
  if (!existsSync(file)) return null;
  const report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  // A file that cannot be loaded has no tests that could fail.
  const unloaded = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  );
  const failed = report.numFailedTests + unloaded.length;
  const counts = {
    passed: report.numPassedTests,
    failed: failed === 0 && !(well && report.success) ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
  return { report, counts };
}

/**
 * All files, some at a time. Where CI asks for it, a few that failed beside others run once more, alone; what passes only then is named, so
 * that it is seen to.
 */
function vitest(args: readonly string[]): void {
  console.log('\n== vitest');
  const first = runVitest(args);
  if (first === null) return add('vitest', { passed: 0, failed: 1, skipped: 0 });
  const failed = first.report.testResults.filter(({ status }) => status === 'failed');
  if (!mayRunAgain(failed.length)) return add('vitest', first.counts);
  console.log(`\n== vitest, once more and alone: ${failed.length} files that failed`);
  const again = runVitest(['--maxWorkers=1', ...failed.map(({ name }) => name)]);
  if (again === null) return add('vitest', first.counts);
  const failing = (report: VitestReport) =>
    report.testResults.flatMap(({ name, assertionResults }) =>
      assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => `${name}: ${fullName}`),
    );
  const still = new Set(failing(again.report));
  for (const test of failing(first.report)) {
    if (!still.has(test)) problems.push(`passed only alone, and not beside others: ${test}`);
  }
  const { passed, skipped } = first.counts;
  add('vitest', { passed: passed + first.counts.failed - again.counts.failed, failed: again.counts.failed, skipped });
}

try {
  check('types', 'tsc', ['-p', '.']);
  check('lint', 'biome', ['check', '.']);
  check('dead code', 'knip', []);
  pytest();
  vitest(process.argv.slice(2));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log('');
for (const problem of problems) console.log(problem);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
