/** Arrays of managed jobs: many with the same task and files, which differ in their rank alone. */
import { randomUUID } from 'node:crypto';
import { StyxError } from '../model/errors.ts';
import { mapLimited } from '../model/map-limited.ts';
import type { CommandOptions } from './clusters.ts';
import type { JobRequest, Jobs } from './jobs.ts';

/** A rank is put behind it, and a job's may have 36. */
const REQUEST_ID_CHARS = 24;
const STARTS_AT_ONCE = 16;

/**
 * Submits `count` jobs, whose scripts find STYX_JOB_RANK (from 0) and STYX_NUM_JOBS, under SkyPilot's names too. Sent again under the same request
 * id, which may have 24 characters, it submits what is missing. Answers ids by rank. @throws invalid, transient
 */
export async function launchArray(
  jobs: Jobs,
  request: JobRequest,
  count: number,
  options: CommandOptions = {},
): Promise<string[]> {
  const base = options.requestId ?? randomUUID().replaceAll('-', '').slice(0, REQUEST_ID_CHARS);
  if (base.length > REQUEST_ID_CHARS) {
    throw new StyxError('invalid', `request id '${base}' of an array may have ${REQUEST_ID_CHARS} characters`);
  }
  const input = await jobs.input(request, base, options);
  const { task } = input;
  const ranks = Array.from({ length: count }, (_, rank) => rank);
  return await mapLimited(ranks, STARTS_AT_ONCE, async (rank) => {
    const own = {
      SKYPILOT_JOB_RANK: String(rank),
      SKYPILOT_NUM_JOBS: String(count),
      STYX_JOB_RANK: String(rank),
      STYX_NUM_JOBS: String(count),
    };
    const secrets = Object.fromEntries(Object.entries(task.secrets).filter(([name]) => !Object.hasOwn(own, name)));
    const ranked = { ...task, envs: { ...task.envs, ...own }, secrets };
    return (await jobs.submit({ ...input, requestId: `${base}-${rank}`, task: ranked }, options)).id;
  });
}
