import type { Command } from 'commander';
import { rememberChecks } from '../../client/checks.ts';
import { type CloudReport, checkClouds, policyOf } from '../../client/clouds.ts';
import { ensurePrivateDir, styxHome } from '../../system/home.ts';
import { isoTime } from '../format.ts';
import { configOption, debugOption, outputOption } from '../options.ts';
import { type CommonOptions, runCommand } from '../run.ts';
import { plain } from '../table.ts';

interface CheckOptions extends CommonOptions {
  readonly verbose?: boolean;
  readonly policy?: boolean;
}

/** As for a missing credential. */
const NOT_ENABLED_EXIT = 6;

export function configure(command: Command): void {
  command
    .argument('[infra...]', 'clouds; default: all')
    .option('-v, --verbose', 'show what each cloud can do')
    .option('--policy', 'print the least rights that one cloud needs, in its own form; asks nobody');
  outputOption(configOption(debugOption(command))).action((infra: string[], options: CheckOptions) =>
    runCommand(options, async (context) => {
      if (options.policy === true) {
        process.stdout.write(`${await policyOf(infra)}\n`);
        return 0;
      }
      const { config } = await context.config();
      const reports = await checkClouds(infra, config.allowedClouds);
      const at = Date.now();
      rememberChecks(ensurePrivateDir(styxHome()), reports, at);
      if (options.output === 'json')
        process.stdout.write(
          `${JSON.stringify(
            reports.map((one) => asJson(one, at)),
            null,
            2,
          )}\n`,
        );
      else process.stdout.write(`${checkText(reports, options.verbose === true)}\n`);
      return reports.some(isEnabled) ? 0 : NOT_ENABLED_EXIT;
    }),
  );
}

function isEnabled(report: CloudReport): boolean {
  return report.check?.ok === true;
}

export function checkText(reports: readonly CloudReport[], verbose: boolean): string {
  const lines: string[] = [];
  for (const report of reports) {
    const { cloud, check, error } = report;
    if (check?.ok === true) lines.push(`${cloud}: enabled [${abilities(check.capabilities).join(', ')}]`);
    else lines.push(`${cloud}: disabled`);
    if (error !== null) lines.push(`  ${error}`);
    for (const problem of check?.problems ?? []) lines.push(`  ${problem}`);
    if (check === null) continue;
    lines.push(`  identity: ${check.identity}${check.account === null ? '' : `, account ${check.account}`}`);
    if (!verbose) continue;
    const { hostKeysKnown, ...can } = check.capabilities;
    for (const [what, answer] of Object.entries(can)) lines.push(`  ${what}: ${answer === true ? 'yes' : answer}`);
    lines.push(`  host keys known before first contact: ${hostKeysKnown ? 'yes' : 'no'}`);
  }
  const enabled = reports.filter(isEnabled).map(({ cloud }) => cloud);
  lines.push('', `Enabled infra: ${enabled.join(', ') || 'none'}`);
  return lines.map(plain).join('\n');
}

/** Those that it has; why it lacks one is shown with `-v`. */
function abilities({
  storage,
  spot,
  stop,
  multiNode,
  openPorts,
}: NonNullable<CloudReport['check']>['capabilities']): string[] {
  const able = { storage, spot, stop, 'multi-node': multiNode, ports: openPorts };
  return ['compute', ...Object.entries(able).flatMap(([name, can]) => (can === true ? [name] : []))];
}

/** docs/cli.md describes this shape. */
function asJson({ cloud, check, error }: CloudReport, at: number) {
  return {
    cloud,
    checkedAt: isoTime(at),
    enabled: check?.ok === true,
    identity: check?.identity ?? null,
    account: check?.account ?? null,
    problems: [...(error === null ? [] : [error]), ...(check?.problems ?? [])],
    capabilities: check?.capabilities ?? null,
  };
}
