/** The SkyPilot that is compared with. */
import { pythonWith } from '../harness/venv.ts';

/** `python` of an environment that has it, or why there is none. */
export function skypilotPython(): { python: string } | { reason: string } {
  return pythonWith('skypilot', '0.14.1');
}
