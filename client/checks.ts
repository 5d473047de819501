/** What `styx check` found last, kept in the data directory: what may be launched is known then without asking every cloud again. */
import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writeAtomically } from '../system/home.ts';
import type { CloudReport } from './clouds.ts';

const Kept = z.object({
  version: z.literal(1),
  clouds: z.record(z.string(), z.object({ at: z.number(), enabled: z.boolean(), reason: z.string().nullable() })),
});

/** How a cloud was found when it was asked last. */
export interface LastCheck {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly enabled: boolean;
  /** Why not; null of one that is enabled. */
  readonly reason: string | null;
}

function fileOf(home: string): string {
  return join(home, 'checks.json');
}

/** By cloud. One that was never asked is not there; what cannot be read counts as nothing. */
export function lastChecks(home: string): ReadonlyMap<string, LastCheck> {
  const kept = Kept.safeParse(readJson(fileOf(home)));
  return new Map(kept.success ? Object.entries(kept.data.clouds) : []);
}

/** Those that were asked now; the others stay as they were found. */
export function rememberChecks(home: string, reports: readonly CloudReport[], now = Date.now()): void {
  const found = reports.map(({ cloud, check, error }): [string, LastCheck] => {
    const enabled = check?.ok === true;
    return [cloud, { at: now, enabled, reason: enabled ? null : (error ?? check?.problems[0] ?? 'not enabled') }];
  });
  const clouds = Object.fromEntries([...lastChecks(home), ...found]);
  writeAtomically(fileOf(home), JSON.stringify({ version: 1, clouds } satisfies z.infer<typeof Kept>));
}
