/** The configuration as the parts of Styx take it: layers merged, values with their defaults, what is not carried out named. */

import { isMap } from '../spec/field.ts';
import { cloudSections } from './clouds.ts';
import { TAKEN, takenKeys } from './fields.ts';
import { jobLogPlace } from './job-logs.ts';
import { isCarriedOut } from './keys.ts';
import type { ConfigLayer } from './layers.ts';
import { mergeLayers, plainMerged, type Setting, settingsOf } from './merge.ts';
import { notificationRules } from './notifications.ts';
import { type Config, DEFAULT_CONFIG } from './values.ts';

export interface ResolvedConfig {
  readonly config: Config;
  /** All that is set, by files and options, whether it is carried out or not. */
  readonly settings: readonly Setting[];
  /** One line that names all that is not carried out, by file; null: there is nothing. */
  readonly warning: string | null;
}

/** From the lowest layer to the highest. @throws ConfigError where layers that are right by themselves do not fit together */
export function resolveConfig(layers: readonly ConfigLayer[]): ResolvedConfig {
  const merged = mergeLayers(layers);
  const settings = settingsOf(merged);
  const taken = [...merged.entries].filter(([key]) => TAKEN.includes(key));
  const given = takenKeys.parse(Object.fromEntries(taken.map(([key, held]) => [key, plainMerged(held)])));
  const jobs = (key: string): number | undefined => {
    const value = settings.find(({ path }) => path.join('.') === `jobs.${key}`)?.value;
    return typeof value === 'number' ? value : undefined;
  };
  const config: Config = {
    allowedClouds: given.allowed_clouds ?? DEFAULT_CONFIG.allowedClouds,
    workspace: given.active_workspace ?? DEFAULT_CONFIG.workspace,
    sshTimeout: given.provision?.ssh_timeout ?? DEFAULT_CONFIG.sshTimeout,
    installConda: given.provision?.install_conda ?? DEFAULT_CONFIG.installConda,
    codec: given.codec ?? DEFAULT_CONFIG.codec,
    sweepFix: given.sweep?.fix ?? DEFAULT_CONFIG.sweepFix,
    sweepMax: given.sweep?.max ?? DEFAULT_CONFIG.sweepMax,
    budget: given.budget ?? DEFAULT_CONFIG.budget,
    clouds: sectionsOf(merged),
    jobSilence: jobs('status_check.min_elapsed_seconds') ?? DEFAULT_CONFIG.jobSilence,
    maxLaunchingJobs: jobs('max_launching') ?? DEFAULT_CONFIG.maxLaunchingJobs,
    maxRunningJobs: jobs('max_running') ?? DEFAULT_CONFIG.maxRunningJobs,
    maxLaunchingPerUser: jobs('max_launching_per_user') ?? DEFAULT_CONFIG.maxLaunchingPerUser,
    maxRunningPerUser: jobs('max_running_per_user') ?? DEFAULT_CONFIG.maxRunningPerUser,
    maxHourlyCost: jobs('max_hourly_cost') ?? DEFAULT_CONFIG.maxHourlyCost,
    ...jobLogPlace(settings),
    jobLogsKeep: jobs('logs.keep') ?? DEFAULT_CONFIG.jobLogsKeep,
    notifications: notificationRules(given.notifications),
    jobLogsMaxMb: jobs('logs.max_mb') ?? DEFAULT_CONFIG.jobLogsMaxMb,
  };
  return { config, settings, warning: warningOf(layers) };
}

function sectionsOf(merged: ReturnType<typeof mergeLayers>): Config['clouds'] {
  const sections = [...merged.entries].flatMap(([key, held]) => {
    const section = Object.hasOwn(cloudSections, key) ? plainMerged(held) : null;
    return isMap(section) ? [[key, section] as const] : [];
  });
  return Object.fromEntries(sections);
}

/** Deeper keys are told by what they stand in: `jobs.controller`. */
const TOLD_DEPTH = 2;

function warningOf(layers: readonly ConfigLayer[]): string | null {
  const bySource = (pathsOf: (layer: ConfigLayer) => readonly string[]) => {
    const told = new Map<string, Set<string>>();
    for (const layer of layers) {
      const paths = told.get(layer.source.name) ?? new Set();
      for (const path of pathsOf(layer)) paths.add(path);
      if (paths.size > 0) told.set(layer.source.name, paths);
    }
    return [...told].map(([source, paths]) => `${[...paths].join(', ')} (${source})`).join('; ');
  };
  const later = bySource((layer) => notCarriedOut(layer));
  const unknown = bySource((layer) => layer.unknown);
  const parts = [
    ...(later === '' ? [] : [`not carried out yet: ${later}`]),
    ...(unknown === '' ? [] : [`unknown: ${unknown}`]),
  ];
  return parts.length === 0 ? null : `Configuration ${parts.join('; ')}`;
}

function notCarriedOut(layer: ConfigLayer): string[] {
  return settingsOf(mergeLayers([layer]))
    .filter(({ path, value }) => value !== null && !isCarriedOut(path) && !layer.unknown.some(standsFor(path)))
    .map(({ path }) => path.slice(0, TOLD_DEPTH).join('.'));
}

/** Is the unknown key the one at `path`, or one that holds it? */
function standsFor(path: readonly string[]): (unknown: string) => boolean {
  const dotted = path.join('.');
  return (unknown) => dotted === unknown || dotted.startsWith(`${unknown}.`);
}
