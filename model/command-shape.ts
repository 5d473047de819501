/** Commands of a cluster that come over a boundary. */
import { type Failure, StyxError } from './errors.ts';
import { closedPorts, wantedPorts } from './machine-wants.ts';
import { validateRay, validateSpec, validateTask } from './task-schema.ts';

/** As in tasks. */
const MOST_RANGES = 1_000;

const SSH_PORT = 22;

/** @throws invalid */
function validatePorts(payload: object): void {
  const { open, close } = payload as Partial<Record<'open' | 'close', unknown>>;
  for (const asked of [open, close]) {
    if (!Array.isArray(asked) || !asked.every((one) => typeof one === 'string'))
      throw new StyxError('invalid', 'ports are given as two lists of texts, `open` and `close`');
    if (asked.length > MOST_RANGES) throw new StyxError('invalid', `more than ${MOST_RANGES} ranges of ports`);
    try {
      wantedPorts(asked);
    } catch (error) {
      throw new StyxError('invalid', `ports ${(error as Error).message}`);
    }
  }
  if (closedPorts(wantedPorts(close as string[]), [`${SSH_PORT}`]).length === 0)
    throw new StyxError('invalid', 'port 22 cannot be closed: it is that of SSH, by which Styx reaches the nodes');
}

/** @throws invalid */
function validateRetryFor(milliseconds: unknown): void {
  if (typeof milliseconds === 'number' && Number.isFinite(milliseconds) && milliseconds > 0) return;
  throw new StyxError('invalid', '`retryFor` is a number of milliseconds, more than 0');
}

/** Of a command that was not made by `client/`: a task or spec of another shape would fail this workflow's tasks for ever. */
export function shapeProblem(payload: object): Failure | null {
  try {
    if ('retryFor' in payload) validateRetryFor(payload.retryFor);
    if ('open' in payload || 'close' in payload) validatePorts(payload);
    if ('ray' in payload && payload.ray !== null) validateRay(payload.ray);
    if (!('task' in payload)) return null;
    validateTask(payload.task);
    if ('spec' in payload) validateSpec(payload.spec);
    return null;
  } catch (error) {
    if (error instanceof StyxError) return error.toFailure();
    throw error;
  }
}
