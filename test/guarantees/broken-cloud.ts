/** A local cloud that cannot write down the end of its placements, so that whatever takes machines away is tried again and again. */
import { mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

/** Answers how to repair it. */
export function breakPlacements(home: string): () => void {
  const directory = join(home, 'local', 'placements');
  const files = readdirSync(directory).filter((name) => name.endsWith('.json'));
  for (const name of files) {
    renameSync(join(directory, name), join(directory, `${name}.kept`));
    mkdirSync(join(directory, name));
  }
  return () => {
    for (const name of files) {
      rmdirSync(join(directory, name));
      renameSync(join(directory, `${name}.kept`), join(directory, name));
    }
  };
}
