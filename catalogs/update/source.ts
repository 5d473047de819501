/** What a cloud's price list is to an update: where it begins, how a page of it is read, and which rows its prices make. */
import type { CatalogRow, Shape } from '../catalog.ts';
import type { Credential } from './credentials.ts';
import type { Answer } from './http.ts';
import type { SpotApi } from './spot.ts';

export interface PageRequest {
  /** Absolute; of the origin of the API's address. */
  readonly url: string;
  /** Sent as JSON by POST. */
  readonly body?: unknown;
  /** What is at this address never changes, as its name has a version: once read, never asked for again. */
  readonly immutable?: boolean;
  /** What progress calls it: "us-east-1". */
  readonly label: string;
}

/** What an update keeps of a page, as JSON, until the next one. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: readonly PageRequest[];
}

/** What is known of a cloud before its prices are fetched. */
export interface Known {
  /** By instance type; of the catalogue that Styx brings and the one fetched last. Most APIs say prices and nothing else. */
  readonly shapes: ReadonlyMap<string, readonly Shape[]>;
  /** Regions of each instance type. */
  readonly regions: ReadonlyMap<string, readonly string[]>;
  readonly allRegions: readonly string[];
  /** Rows of the catalogue that stands. */
  readonly standing: readonly CatalogRow[];
}

export interface PricedRows {
  readonly rows: readonly CatalogRow[];
  /** Instance types with a price, of which nobody says what they have: they are left out. */
  readonly leftOut: readonly string[];
  /** Rows that stand and that the list says nothing about: they stay, as old as they are. */
  readonly carried?: readonly CatalogRow[];
}

export interface PriceApi<Item> {
  readonly cloud: string;
  /** Of the cloud's own API; pages are relative to it. */
  readonly url: string;
  /** Raised when a page is read differently: what is kept of pages is then of no use. */
  readonly version: number;
  /** null: anybody may ask. */
  readonly credential: Credential | null;
  /** Does it say spot prices? Otherwise those known before stay. */
  readonly spot: boolean;
  /** Where spot prices are that the list does not say. */
  readonly spotApi?: SpotApi;
  headers?(secret: string): Readonly<Record<string, string>>;
  first(base: string): readonly PageRequest[];
  /** @throws when the answer is not of the API's form, or an error in it */
  read(answer: Answer, request: PageRequest, base: string): Promise<Page<Item>>;
  rows(items: readonly Item[], known: Known): PricedRows;
}

/** `path` below an address that may have a path itself. */
export function at(base: string, path: string): string {
  return `${base.replace(/\/+$/, '')}/${path.replace(/^\/+/, '')}`;
}
