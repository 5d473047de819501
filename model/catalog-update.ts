/** The update of catalogues as a workflow: what it is given, and what it answers. */
import type { Failure } from './errors.ts';
import type { Timing } from './timing.ts';

export const CATALOG_UPDATE_WORKFLOW = 'catalogUpdate';
/** One a namespace, which is one an installation. */
export const CATALOG_UPDATE_SCHEDULE = 'styx-catalog-update';
/** Of each run, with the time that it was due at, which the server appends. */
export const CATALOG_UPDATE_ID = 'catalog-update';

export interface CatalogUpdateInput {
  readonly version: 1;
  /** Empty: all whose prices can be fetched; of these the ones without a key are skipped. */
  readonly clouds: readonly string[];
  readonly timing: Pick<Timing, 'heartbeatEvery' | 'heartbeatTimeout' | 'retryFirst' | 'retryMax' | 'stepTimeout'>;
}

/** Of one cloud. */
export interface PricesUpdated {
  readonly cloud: string;
  /** Skipped: there are no credentials, and nobody named this cloud. */
  readonly outcome: 'updated' | 'skipped' | 'failed';
  readonly rows: number | null;
  /** Rows with new prices. */
  readonly changed: number | null;
  /** Prices that moved tenfold and were not believed. */
  readonly quarantined: number | null;
  readonly problem: Failure | null;
}
