/** How an instance of the local cloud hears that it is taken back: a file in its directory, of the shape that AWS has. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const NOTICE = 'notice.json';

export function writeNotice(directory: string, at: number): void {
  const path = join(directory, NOTICE);
  writeFileSync(`${path}.new`, JSON.stringify({ action: 'terminate', time: new Date(at).toISOString() }));
  renameSync(`${path}.new`, path);
}
