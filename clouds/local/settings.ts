/** What the file `limits.json` of the local cloud says. Read anew for each question, so that a change holds at once. */
import { z } from 'zod';
import { StyxError } from '../../model/errors.ts';
import { readText } from './paths.ts';

export interface LocalSettings {
  /** Instances that exist at a time, at most. */
  readonly maxInstances: number;
  /** Of these, those that were asked for as spot instances, at most. Absent: as many as there is room for. */
  readonly maxSpotInstances?: number | undefined;
  /** US dollars an hour that one vCPU is said to cost. Nobody is asked for them. */
  readonly vcpuHourlyCost: number;
}

const settings = z.strictObject({
  maxInstances: z.int().min(0).default(1000),
  maxSpotInstances: z.int().min(0).optional(),
  vcpuHourlyCost: z.number().min(0).max(1e6).default(0),
});

/** @throws invalid */
export function localSettings(path: string): LocalSettings {
  const text = readText(path);
  if (text === undefined) return settings.parse({});
  try {
    return settings.parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? `: ${error.issues[0]?.message}` : '';
    throw new StyxError(
      'invalid',
      `${path} must be JSON like {"maxInstances": 10, "maxSpotInstances": 5, "vcpuHourlyCost": 0.05}, with any of these${why}`,
    );
  }
}
