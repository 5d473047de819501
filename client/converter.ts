/** For workers and clients of Temporal that are not of Styx, on a server where sealing is optional. */
import type { DataConverter } from '@temporalio/common';
import { styxHome } from '../system/home.ts';
import { openOnly } from '../workers/sealing.ts';

/** Opens what Styx has sealed with the keys of a data directory (default: STYX_HOME, else ~/.styx), and seals nothing itself. */
export function openingConverter(home = styxHome()): DataConverter {
  return openOnly(home);
}
