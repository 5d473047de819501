/** Layers laid over each other, each value knowing where it is from. */
import { plainValue, type YamlNode } from '../yaml.ts';
import type { ConfigLayer, ConfigSource, MapNode } from './layers.ts';

export type Merged =
  | { readonly kind: 'map'; readonly entries: ReadonlyMap<string, Merged> }
  | { readonly kind: 'value'; readonly node: YamlNode; readonly source: ConfigSource };

type MergedMap = Merged & { readonly kind: 'map' };

/** From the lowest to the highest. Maps are merged key by key; anything else, a list too, replaces what was below. */
export function mergeLayers(layers: readonly Pick<ConfigLayer, 'root' | 'source'>[]): MergedMap {
  return layers.reduce<MergedMap>((below, { root, source }) => over(below, root, source), NOTHING);
}

const NOTHING: MergedMap = { kind: 'map', entries: new Map() };

function over(below: Merged | undefined, node: MapNode, source: ConfigSource): MergedMap {
  const entries = new Map(below?.kind === 'map' ? below.entries : []);
  for (const { key, value } of node.entries) {
    entries.set(
      key,
      value.kind === 'map' ? over(entries.get(key), value, source) : { kind: 'value', node: value, source },
    );
  }
  return { kind: 'map', entries };
}

/** As plain values. */
export function plainMerged(merged: Merged): unknown {
  if (merged.kind === 'value') return plainValue(merged.node);
  const map: Record<string, unknown> = Object.create(null);
  for (const [key, held] of merged.entries) map[key] = plainMerged(held);
  return map;
}

/** A value with the place that gave it. */
export interface Setting {
  /** `['provision', 'ssh_timeout']`. */
  readonly path: readonly string[];
  readonly value: unknown;
  readonly source: ConfigSource;
  /** In the source's file; null: it is an option. */
  readonly line: number | null;
}

/** All values that hold, by path. */
export function settingsOf(merged: Merged, path: readonly string[] = []): Setting[] {
  if (merged.kind === 'map') return [...merged.entries].flatMap(([key, held]) => settingsOf(held, [...path, key]));
  const { node, source } = merged;
  return [{ path, value: plainValue(node), source, line: source.kind === 'option' ? null : node.at.line }];
}
