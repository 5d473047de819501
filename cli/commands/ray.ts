import type { Command } from 'commander';
import type { ClusterView } from '../../model/commands.ts';
import { StyxError } from '../../model/errors.ts';
import type { ClusterRay, RayRequest } from '../../model/ray.ts';
import { isDesktop, openInBrowser } from '../browser.ts';
import { colourStatus } from '../colour.ts';
import { formatSpan, isoTime } from '../format.ts';
import { configOption, debugOption, outputOption, wholeNumber } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';
import { formatTable, plain } from '../table.ts';

interface UpOptions extends CommonOptions {
  readonly rayVersion?: string;
  readonly extras?: string;
  readonly headResources?: string;
  readonly restartHead?: boolean;
  readonly async?: boolean;
}

interface DashboardOptions extends CommonOptions {
  readonly port?: number;
  readonly open: boolean;
  readonly token?: boolean;
}

export function configure(command: Command): void {
  const withCluster = (name: string, description: string) =>
    command.command(name).description(description).argument('<cluster>', 'name of a cluster');
  const common = (one: Command) => outputOption(configOption(debugOption(one)));

  const up = withCluster('up', 'install and start Ray on all nodes of a cluster')
    .option('--ray-version <release>', 'release of Ray; default: that of the cluster, else the one Styx knows best')
    .option('--extras <names>', 'parts of Ray, separated by commas: data,serve')
    .option('--head-resources <amounts>', 'what the head offers: CPU=0,GPU=1; default: as any node')
    .option('--restart-head', 'start a head that ended again')
    .option('--async', 'do not wait until it stands');
  common(up).action((cluster: string, options: UpOptions) =>
    runCommand(options, (context) => bringUp(context, cluster, options)),
  );

  common(withCluster('status', 'say how the Ray of a cluster does')).action((cluster: string, options: CommonOptions) =>
    runCommand(options, (context) => show(context, cluster, options)),
  );

  const dashboard = withCluster('dashboard', 'lead a port of this machine to the dashboard, until Ctrl-C')
    .option('--port <port>', 'port of 127.0.0.1; default: a free one', wholeNumber(1, 65_535))
    .option('--no-open', 'do not open a browser, which is done on a desktop only')
    .option('--token', 'print the token that the page asks for');
  common(dashboard).action((cluster: string, options: DashboardOptions) =>
    runCommand(options, (context) => tunnel(context, cluster, options)),
  );

  common(withCluster('down', 'end the Ray of a cluster; the cluster stays')).action(
    (cluster: string, options: CommonOptions) => runCommand(options, (context) => end(context, cluster, options)),
  );
}

async function requestOf(options: UpOptions): Promise<RayRequest> {
  const { rayFields, rayRequest } = await import('../../model/spec/ray.ts');
  const { issueText } = await import('../../model/spec/field.ts');
  const { rayVersion, extras, headResources, restartHead } = options;
  const written = {
    ...(rayVersion === undefined ? {} : { version: rayVersion }),
    ...(extras === undefined ? {} : { extras: extras.split(',').map((one) => one.trim()) }),
    ...(headResources === undefined ? {} : { head_resources: amounts(headResources) }),
    ...(restartHead === undefined ? {} : { restart_head: restartHead }),
  };
  const read = rayFields.safeParse(written, { error: issueText });
  if (read.success) return rayRequest(read.data);
  const [issue] = read.error.issues;
  const [name = 'ray', ...below] = (issue?.path ?? []).map(String);
  const option = name === 'version' ? '--ray-version' : `--${name.replaceAll('_', '-')}`;
  throw new StyxError('invalid', `${[option, ...below].join(' ')} ${issue?.message}`);
}

function amounts(text: string): Record<string, number> {
  return Object.fromEntries(
    text.split(',').map((one) => {
      const [, name, amount] = /^\s*([^=\s]+)\s*=\s*([0-9.]+)\s*$/.exec(one) ?? [];
      if (name === undefined)
        throw new StyxError('invalid', `--head-resources must be such as CPU=0,GPU=1, not "${one}"`);
      return [name, Number(amount)];
    }),
  );
}

async function bringUp(context: Context, cluster: string, options: UpOptions): Promise<number> {
  const request = await requestOf(options);
  const styx = await context.styx();
  const answer = await styx.clusters.ray(cluster, request, { onProgress: (text) => context.progress.update(text) });
  context.onDetach(`Ray is brought up all the same: styx ray status ${cluster}`);
  if (options.async !== true) await waitFor(context, cluster, 'up');
  return await show(context, cluster, options, answer.note);
}

async function waitFor(context: Context, cluster: string, wanted: 'up' | 'ended'): Promise<ClusterRay | null> {
  const { waitForRay } = await import('../../client/ray.ts');
  const styx = await context.styx();
  const onWait = (text: string) => context.progress.update(text);
  const ray = await waitForRay(styx.clusters.followed(cluster), wanted, { onWait });
  context.progress.stop();
  return ray;
}

async function show(
  context: Context,
  cluster: string,
  options: CommonOptions,
  note: string | null = null,
): Promise<number> {
  const { noRay } = await import('../../client/ray.ts');
  const styx = await context.styx();
  const view = await styx.clusters.view(cluster, {
    budget: 30_000,
    onProgress: (text) => context.progress.update(text),
  });
  context.progress.stop();
  const { ray } = view;
  if (ray === undefined) throw noRay(cluster);
  if (note !== null) process.stderr.write(`${note}\n`);
  process.stdout.write(
    `${options.output === 'json' ? JSON.stringify(asJson(view, ray), null, 2) : rayText(view, ray)}\n`,
  );
  return ray.status === 'FAILED' ? 1 : 0;
}

export function rayText(
  { name, nodes }: Pick<ClusterView, 'name' | 'nodes'>,
  ray: ClusterRay,
  now = Date.now(),
): string {
  const { spec, status, since, reason, address } = ray;
  const version = [spec.version, ...spec.extras].join(' + ');
  const header = ['CLUSTER', 'RAY', 'NODES', 'STATUS', 'SINCE', 'ADDRESS'];
  const row = [name, version, String(nodes.length), status, formatSpan(since, null, now), address ?? '-'];
  const table = colourStatus(formatTable(header, [row]));
  return reason === '' ? table : `${table}\n${plain(reason)}`;
}

/** docs/cli.md describes this shape. */
function asJson(view: ClusterView, { spec, status, since, reason, address, dashboardPort }: ClusterRay) {
  return {
    cluster: view.name,
    version: spec.version,
    extras: spec.extras,
    headResources: spec.headResources,
    restartHead: spec.restartHead ?? false,
    status,
    since: isoTime(since),
    reason: reason === '' ? null : reason,
    address,
    dashboardPort,
  };
}

async function tunnel(context: Context, cluster: string, options: DashboardOptions): Promise<number> {
  const { openDashboard, tokenOfRay } = await import('../../client/ray.ts');
  const styx = await context.styx();
  const { url, close } = await openDashboard(styx, cluster, options.port);
  try {
    const token = options.token === true ? await tokenOfRay(styx.home, await styx.clusters.view(cluster)) : null;
    context.progress.stop();
    context.ignoreInterrupts();
    const ended = new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    });
    if (options.output === 'json')
      process.stdout.write(`${JSON.stringify({ url, ...(token === null ? {} : { token }) })}\n`);
    else process.stdout.write(`${url}\n${token === null ? '' : `${token}\n`}`);
    const hint = token === null ? ' The page asks for a token: --token prints it.' : '';
    process.stderr.write(`The dashboard of ${cluster} until Ctrl-C.${hint}\n`);
    if (options.open && isDesktop()) openInBrowser(url);
    await ended;
  } finally {
    await close();
  }
  return 0;
}

async function end(context: Context, cluster: string, options: CommonOptions): Promise<number> {
  const styx = await context.styx();
  const { note } = await styx.clusters.ray(cluster, null, { onProgress: (text) => context.progress.update(text) });
  context.onDetach(`Ray is ended all the same: styx ray status ${cluster}`);
  const left = note === null ? await waitFor(context, cluster, 'ended') : null;
  context.progress.stop();
  const text =
    note ??
    (left === null
      ? `The Ray of cluster '${cluster}' has ended.`
      : `The Ray of cluster '${cluster}' was brought up again.`);
  process.stdout.write(
    options.output === 'json' ? `${JSON.stringify({ cluster, note, ended: left === null })}\n` : `${text}\n`,
  );
  return 0;
}
