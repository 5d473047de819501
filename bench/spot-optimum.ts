/**
 * The least that a job could have cost, had it known when spot machines can be had: dynamic programming over ticks, work done, and the
 * machine with the ticks of its start that are left. Work and starts are rounded down to ticks, so that nothing is cheaper.
 */
import type { Work } from './spot-simulation.ts';
import type { ZoneTrace } from './spot-traces.ts';

/** Dollars; Infinity: it could not be done by its deadline. */
export function optimum(traces: readonly ZoneTrace[], { work, deadline, overhead, prices }: Work): number {
  const gap = traces[0]?.gap ?? 1;
  const ticks = Math.floor(deadline / gap);
  const units = Math.floor(work / gap);
  const starting = Math.floor(overhead / gap);
  const hours = gap / 3_600_000;
  // Machine 0 is on-demand, machine n the spot one of zone n-1.
  const machines = traces.length + 1;
  const price = Array.from(
    { length: machines },
    (_, machine) => (machine === 0 ? prices['on-demand'] : prices.spot) * hours,
  );
  const rows = starting + 1;
  const width = machines * rows;
  const cell = (done: number, machine: number, left: number) => done * width + machine * rows + left;
  /** Cost from the next tick on, by the machine had in this one. */
  let after = new Float64Array((units + 1) * width).fill(Number.POSITIVE_INFINITY);
  let idleAfter = new Float64Array(units + 1).fill(Number.POSITIVE_INFINITY);
  after.fill(0, units * width);
  idleAfter[units] = 0;
  for (let tick = ticks - 1; tick >= 0; tick--) {
    const before = new Float64Array(after.length);
    const idleBefore = new Float64Array(idleAfter.length);
    const there = Array.from({ length: machines }, (_, machine) => {
      const { available = [] } = traces[machine - 1] ?? {};
      return machine === 0 || available[tick % available.length] === true;
    });
    for (let done = 0; done < units; done++) {
      let fresh = Number.POSITIVE_INFINITY;
      for (let machine = 0; machine < machines; machine++) {
        if (!there[machine]) continue;
        const next = starting === 0 ? cell(done + 1, machine, 0) : cell(done, machine, starting - 1);
        fresh = Math.min(fresh, (price[machine] ?? 0) + (after[next] ?? 0));
      }
      const elsewhere = Math.min(fresh, idleAfter[done] ?? 0);
      idleBefore[done] = elsewhere;
      for (let machine = 0; machine < machines; machine++) {
        for (let left = 0; left < rows; left++) {
          const next = left === 0 ? cell(done + 1, machine, 0) : cell(done, machine, left - 1);
          const stay = there[machine] ? (price[machine] ?? 0) + (after[next] ?? 0) : Number.POSITIVE_INFINITY;
          before[cell(done, machine, left)] = Math.min(stay, elsewhere);
        }
      }
    }
    [after, idleAfter] = [before, idleBefore];
  }
  return idleAfter[0] ?? Number.POSITIVE_INFINITY;
}
