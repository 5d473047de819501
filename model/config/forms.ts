/** Forms of values in configuration files that this version reads and does not carry out: as loose as SkyPilot has them. */
import { z } from 'zod';
import { doc, isMap, jsonValue, mapOf } from '../spec/field.ts';

/** A section: a map that knows its keys, in which one that holds nothing is as good as absent. */
export function section<S extends z.ZodRawShape>(shape: S) {
  return mapOf(shape, { nulls: 'absent', what: 'a map of keys' });
}

/** Keys that the tables of docs show without words: a form is all that is known of them. */
export function keys<F extends z.ZodType>(form: F, names: string): Record<string, z.ZodOptional<F>> {
  return Object.fromEntries(names.split(' ').map((name) => [name, form.optional()]));
}

/** The same with words, for those that docs show. */
export function said<F extends z.ZodType>(form: F, words: Readonly<Record<string, string>>) {
  return Object.fromEntries(Object.entries(words).map(([name, text]) => [name, doc(form, text)]));
}

export const text = z.string();
export const number = z.number();
export const whole = z.int();
export const flag = z.boolean();
export const texts = z.array(z.string());
export const free = z.record(z.string(), jsonValue);
export const textMap = z.record(z.string(), z.string());

const oneOf = <T extends z.ZodType[]>(error: string, ...forms: T) => z.union(forms, { error: `must be ${error}` });

export const textOrTexts = oneOf('text or a list of texts', text, texts);
export const textOrMap = oneOf('text or a map of texts', text, textMap);
export const textOrMaps = oneOf('text, or a list of maps of one name to text', text, z.array(textMap));
export const flagOrNumber = oneOf('true, false or a number', flag, number);
export const flagOrTextOrMap = oneOf('true, false, text or a map', flag, text, free);
export const wholeOrText = oneOf('a whole number, or such as "30m"', whole, text);

/** By a name of the user's own: `region_configs`, `workspaces`. */
export function named<F extends z.ZodType>(form: F) {
  return z.preprocess(
    (value) => (isMap(value) ? Object.fromEntries(Object.entries(value).filter(([, held]) => held !== null)) : value),
    z.record(z.string(), form),
  );
}
