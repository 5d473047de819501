import type { Command } from 'commander';
import { StyxError } from '../../model/errors.ts';
import type { SweepReport, Unclaimed } from '../../model/sweep.ts';
import { confirm } from '../confirm.ts';
import { formatAge, formatMoney, isoTime } from '../format.ts';
import { configOption, debugOption, outputOption, wholeNumber, yesOption } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';
import { formatTable } from '../table.ts';

interface SweepCommandOptions extends CommonOptions {
  readonly fix?: boolean;
  readonly max?: number;
  readonly installation?: string;
  readonly yes?: boolean;
}

const FOUND_EXIT = 1;
const MOST = 100_000;

export function configure(command: Command): void {
  yesOption(command)
    .option('--fix', 'remove what is listed, after a second look ten minutes later finds it as it is now')
    .option(
      '--max <number>',
      'remove at most so many, or nothing; without it 10, and half of what is seen',
      wholeNumber(1, MOST),
    )
    .option('--installation <id>', 'look at what another installation made, such as one whose database is gone');
  outputOption(configOption(debugOption(command))).action((options: SweepCommandOptions) =>
    runCommand(options, (context) => sweep(context, options)),
  );
}

async function sweep(context: Context, options: SweepCommandOptions): Promise<number> {
  const { installation } = options;
  const whose = installation === undefined ? {} : { installation };
  const styx = await context.styx();
  context.progress.update('asking every cloud what is there, and every workflow what it claims');
  const report = await styx.sweep(whose);
  context.progress.stop();
  const json = options.output === 'json';
  const print = (shown: SweepReport, text: (shown: SweepReport) => string) =>
    process.stdout.write(`${json ? JSON.stringify(asJson(shown), null, 2) : text(shown)}\n`);
  const fixes = options.fix === true && report.unclaimed.length > 0;
  // Programs get one report: the one after the removal, where there is one.
  if (!fixes || !json) print(report, sweepText);
  if (!fixes) return report.unclaimed.length === 0 ? 0 : FOUND_EXIT;
  await confirm(
    `Remove ${report.unclaimed.length === 1 ? 'this' : `these ${report.unclaimed.length}`}, with all that is on them?`,
    options.yes,
  );
  context.progress.update('looking again in ten minutes, then removing; Ctrl-C leaves the server to it');
  const only = report.unclaimed.map(({ id }) => id);
  const done = await styx.sweep({
    ...whose,
    fix: true,
    only,
    ...(options.max === undefined ? {} : { max: options.max }),
  });
  context.progress.stop();
  print(done, removedText);
  if (done.refusal !== null) throw new StyxError('refused', done.refusal);
  if (done.left.length > 0) throw new StyxError('transient', `still there: ${done.left.join(', ')}`);
  return 0;
}

function sweepText({ looked, without = [], seen, young, unclaimed, unknown }: SweepReport): string {
  const now = Date.now();
  const notKnown = [
    ...without.map((cloud) => `Not looked at: ${cloud}: the worker has no credentials of it.`),
    ...unknown.map(({ subject, why }) => `Not known: ${subject}: ${why}.`),
  ];
  const all = `${seen} ${seen === 1 ? 'thing' : 'things'} of this installation at ${looked.join(', ') || 'no cloud'}, ${young} too young to judge`;
  if (unclaimed.length === 0) return [...notKnown, `Nothing is nobody's: ${all}.`].join('\n');
  return [
    formatTable(
      ['KIND', 'ID', 'INFRA', 'STATE', 'CREATED', '$/HR', 'WHY'],
      unclaimed.map((one) => row(one, now)),
    ),
    '',
    ...notKnown,
    `Claimed by nobody: ${unclaimed.length} of ${all}. \`styx sweep --fix\` removes what still is in ten minutes.`,
  ].join('\n');
}

function row(one: Unclaimed, now: number): string[] {
  const place = [one.cloud, one.region, one.zone].filter((part) => part !== '').join('/');
  const cost = one.hourlyCost === null ? '?' : formatMoney(one.hourlyCost);
  return [one.kind, one.id, place, one.state, formatAge(one.createdAt, now), cost, one.why];
}

function removedText({ removed, orphans }: SweepReport): string {
  const spared = (orphans?.length ?? 0) - removed.length;
  if (removed.length === 0) return 'Nothing was removed.';
  return `Removed: ${removed.join(', ')}.${spared > 0 ? ` ${spared} not.` : ''}`;
}

/** docs/cli.md describes this shape. */
function asJson({ unclaimed, orphans, ...rest }: SweepReport) {
  const dated = (one: Unclaimed) => ({ ...one, createdAt: isoTime(one.createdAt) });
  return { ...rest, unclaimed: unclaimed.map(dated), orphans: orphans?.map(dated) ?? null };
}
