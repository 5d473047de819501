/** The Python that helpers of this cloud run with. */
import { existsSync } from 'node:fs';

/** Not the shim of a version manager, and nothing of what the client's environment tells Python. */
export const PYTHON: readonly [string, ...string[]] = [
  existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3',
  '-I',
  '-S',
];
