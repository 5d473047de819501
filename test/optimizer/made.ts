/** Requests, rows and DAGs for tests. */
import type { CatalogRow } from '../../catalogs/catalog.ts';
import { resources } from '../../model/spec/resources.ts';
import type { DagTask } from '../../optimizer/dag.ts';
import type { PlacementRequest } from '../../optimizer/request.ts';

/** As a task file says it. */
export function asked(written: Record<string, unknown>, numNodes = 1): PlacementRequest {
  return { resources: resources.parse(written).resources, numNodes };
}

export function task(written: Record<string, unknown>, more: Partial<DagTask> = {}): DagTask {
  return { ...asked(written), name: null, inputs: null, outputs: null, ...more };
}

export function row(given: Partial<CatalogRow> = {}): CatalogRow {
  return {
    cloud: 'aws',
    instanceType: 'm6i.2xlarge',
    region: 'us-east-1',
    zone: null,
    cpus: 8,
    memory: 32,
    accelerators: null,
    acceleratorMemory: null,
    price: 1,
    spotPrice: null,
    arch: 'x86_64',
    ...given,
  };
}
