/** Commands of a cluster that come over a boundary. */
import { type Failure, StyxError } from './errors.ts';
import { validateRay, validateSpec, validateTask } from './task-schema.ts';

/** Of a command that was not made by `client/`: a task or spec of another shape would fail this workflow's tasks for ever. */
export function shapeProblem(payload: object): Failure | null {
  try {
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
