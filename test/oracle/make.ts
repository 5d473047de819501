/** Makers of random values, and of maps of them. */
import { Mapping, Plain } from './emit.ts';
import type { Random } from './random.ts';

export const plain = (source: string) => new Plain(source);
export type Make = (random: Random) => unknown;
export type Fields = Readonly<Record<string, Make>>;

export const oneOf =
  (...values: readonly unknown[]): Make =>
  (random) =>
    random.pick(values);

/** A few of the fields, most of the time. */
export const mapOf =
  (fields: Fields, most = 4): Make =>
  (random) =>
    new Mapping(random.some(Object.keys(fields), most).map((name) => [name, (fields[name] as Make)(random)]));

/** All that are named, and a few of the others. */
export const with_ =
  (required: readonly string[], fields: Fields, most = 3): Make =>
  (random) => {
    const others = random.some(
      Object.keys(fields).filter((name) => !required.includes(name)),
      most,
    );
    return new Mapping([...required, ...others].map((name) => [name, (fields[name] as Make)(random)]));
  };

export const listOf =
  (make: Make, most: number, least = 0): Make =>
  (random) =>
    Array.from({ length: least + random.below(most - least + 1) }, () => make(random));
