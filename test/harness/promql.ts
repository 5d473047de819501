/** What an expression of Prometheus asks for, by Prometheus' own grammar. */
import { parser } from '@prometheus-io/lezer-promql';

export interface Asked {
  readonly metrics: readonly { readonly name: string; readonly labels: readonly string[] }[];
  /** Of `by (...)`. */
  readonly groups: readonly string[];
}

/** @throws when it is no expression */
export function askedBy(expression: string): Asked {
  const metrics: { name: string; labels: string[] }[] = [];
  const groups: string[] = [];
  parser.parse(expression).iterate({
    enter({ type, from, to, node }) {
      const text = expression.slice(from, to);
      if (type.isError) throw new Error(`no expression of Prometheus: ${expression}, at ${from}`);
      if (type.name === 'VectorSelector') metrics.push({ name: '', labels: [] });
      const last = metrics.at(-1);
      if (type.name === 'Identifier' && last !== undefined) last.name ||= text;
      if (type.name !== 'LabelName') return;
      if (node.parent?.name === 'GroupingLabels') groups.push(text);
      else last?.labels.push(text);
    },
  });
  return { metrics, groups };
}
