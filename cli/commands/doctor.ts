import type { Command } from 'commander';
import type { Diagnosis, LeftMachine } from '../../client/doctor.ts';
import { StyxError } from '../../model/errors.ts';
import { confirm } from '../confirm.ts';
import { configOption, debugOption, outputOption, yesOption } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';
import { plain } from '../table.ts';

const WRONG_EXIT = 1;

interface DoctorOptions extends CommonOptions {
  readonly endMachines?: boolean;
  readonly yes?: boolean;
}

export function configure(command: Command): void {
  yesOption(command).option('--end-machines', 'end the machines that were found to be nobody’s, after a confirmation');
  outputOption(configOption(debugOption(command))).action((options: DoctorOptions) =>
    runCommand(options, (context) => doctor(context, options)),
  );
}

async function doctor(context: Context, options: DoctorOptions): Promise<number> {
  const diagnosis = await diagnose(context);
  context.progress.stop();
  process.stdout.write(`${options.output === 'json' ? JSON.stringify(diagnosis, null, 2) : doctorText(diagnosis)}\n`);
  if (options.endMachines === true) await end(context, diagnosis, options);
  return diagnosis.findings.length === 0 ? 0 : WRONG_EXIT;
}

function left({ findings }: Diagnosis): LeftMachine[] {
  return findings.flatMap(({ machines = [] }) => machines);
}

/** What was nobody's when it was confirmed, and still is now. */
async function end(context: Context, diagnosis: Diagnosis, { yes }: DoctorOptions): Promise<void> {
  const ids = left(diagnosis).map(({ id }) => id);
  if (ids.length === 0) return;
  await confirm(`End ${ids.length === 1 ? 'machine' : 'machines'} ${ids.join(', ')} with all that is on them?`, yes);
  const still = left(await diagnose(context)).filter(({ id }) => ids.includes(id));
  const { endMachines } = await import('../../client/doctor-machines.ts');
  context.progress.update('ending machines');
  const stayed = await endMachines(still);
  context.progress.stop();
  if (stayed.length === 0) return context.progress.line(`${still.length} ended.`);
  throw new StyxError('transient', `still there: ${stayed.map(({ id }) => id).join(', ')}`);
}

/** Never starts a server: that one is missing is what may be wrong. */
async function diagnose(context: Context): Promise<Diagnosis> {
  try {
    const styx = await context.styx({ startServer: false });
    return await styx.doctor();
  } catch (error) {
    if (!(error instanceof StyxError) || error.kind !== 'unreachable') throw error;
    const { withoutServer } = await import('../../client/doctor.ts');
    const { styxHome } = await import('../../system/home.ts');
    return await withoutServer(styxHome(), error);
  }
}

export function doctorText({ findings, server, looked }: Diagnosis): string {
  const at = `Temporal ${server.version ?? '(no version)'} at ${server.address ?? '-'}`;
  const count = (many: number, what: string) => `${many} ${what}${many === 1 ? '' : 's'}`;
  const all = `${count(looked.clusters, 'cluster')}, ${count(looked.workflows, 'running workflow')} and ${count(looked.machines, 'machine')}`;
  const lines = findings.map(({ severity, subject, problem, next }) =>
    plain(`${severity.toUpperCase().padEnd(9)}  ${subject}: ${problem}. ${next}`),
  );
  const last = findings.length === 0 ? 'Nothing is wrong' : count(findings.length, 'finding');
  return [...lines, `${last}: looked at ${at}, ${all}.`].join('\n');
}
