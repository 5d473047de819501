/** What the price APIs have in common: answers held against their schema, numbers rounded, accelerators by their names. */
import type { ZodType } from 'zod';
import { canonicalName, findAccelerator } from '../../model/accelerators.ts';
import { StyxError } from '../../model/errors.ts';
import type { CatalogRow } from '../catalog.ts';

/** @throws invalid, with the field that is not as the API's documentation has it */
export function checked<T>(schema: ZodType<T>, value: unknown, cloud: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? 'it' : issue.path.map(String).join('.');
  throw new StyxError('invalid', `the price list of ${cloud} is not as expected: ${where}: ${issue?.message}`, {
    hint: 'Nothing was changed. Its API may have changed; `styx catalog status` shows how old the prices are that stand.',
  });
}

/** Of a dollar a millionth: binary fractions of services are not figures of a price list. */
export function rounded(price: number): number {
  return Math.round(price * 1e6) / 1e6;
}

/** A price of 0 says that it is not sold so. */
export function priceOf(price: number | null | undefined): number | null {
  return price === null || price === undefined || price === 0 ? null : rounded(price);
}

/**
 * By any name, with its nominal memory.
 * @param said GiB of one, as the API has it: drivers report a little less than the nominal size
 */
export function acceleratorOf(
  name: string,
  count: number,
  said: number | null,
): Pick<CatalogRow, 'accelerators' | 'acceleratorMemory'> {
  const known = findAccelerator(name)?.memory ?? null;
  const near = said === null || (known !== null && Math.abs(said - known) <= known / 4);
  return { accelerators: { name: canonicalName(name), count }, acceleratorMemory: near ? known : said };
}

export const NO_ACCELERATORS = { accelerators: null, acceleratorMemory: null } as const;
