import * as fc from 'fast-check';

/** Throws with a counterexample when a property, which must not be asynchronous, fails in one of `numRuns` cases. */
export function holds<Ts>(property: fc.IProperty<Ts>, numRuns: number): void {
  void fc.assert(property, { numRuns });
}
