/** What one cloud offers and asks for it. */

/** One offer: a machine of a type, in a place, at a price. */
export interface CatalogRow {
  readonly cloud: string;
  readonly instanceType: string;
  readonly region: string;
  /** null: the same in every zone of the region, or the cloud has none. */
  readonly zone: string | null;
  /** vCPUs; null when the source does not say. */
  readonly cpus: number | null;
  /** GiB. */
  readonly memory: number | null;
  /** A count below 1 is a share of a card. */
  readonly accelerators: { readonly name: string; readonly count: number } | null;
  /** GiB of one accelerator; of a TPU the whole slice's. */
  readonly acceleratorMemory: number | null;
  /** US dollars an hour on demand; null when it is not sold so. */
  readonly price: number | null;
  /** US dollars an hour; null when it is not sold so, or no figure is known. */
  readonly spotPrice: number | null;
  readonly arch: 'x86_64' | 'arm64' | null;
}
