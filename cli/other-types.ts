/** What else there would be when no place had room for the machines of a launch. */
import type { Try } from '../model/cluster.ts';

const MOST = 3;

/** A line of types that were not tried and are at least as large as the smallest that was; null when none is known. */
export async function otherTypesText(tries: readonly Try[]): Promise<string | null> {
  const tried = tries.filter(({ failure }) => failure.kind === 'capacity' || failure.kind === 'quota');
  if (tried.length === 0) return null;
  const clouds = new Set(tried.map(({ cloud }) => cloud));
  const [{ catalogFiles, loadCatalog }, { otherTypes }] = await Promise.all([
    import('../catalogs/load.ts'),
    import('../optimizer/index.ts'),
  ]);
  const files = catalogFiles().filter(({ cloud }) => clouds.has(cloud));
  const catalogs = await Promise.all(files.map(async (file) => (await loadCatalog(file)).catalog));
  const found = otherTypes(
    catalogs.flatMap((one) => [...one.rows()]),
    tried,
    MOST,
  );
  if (found.length === 0) return null;
  const texts = found.map(({ instanceType, accelerators, price }) => {
    const cards = accelerators === null ? '' : `, ${accelerators.name}:${accelerators.count}`;
    return `${instanceType} (from $${(price ?? 0).toFixed(2)} an hour${cards})`;
  });
  return `Other types that are at least as large: ${texts.join(', ')}.`;
}
