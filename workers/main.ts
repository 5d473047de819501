/** The worker process. */
import { createActivities } from '../activities/index.ts';
import { workflowBundle } from './bundle.ts';
import { runWorkerProcess } from './worker-process.ts';

await runWorkerProcess({ workflowBundle, createActivities });
// Drained: what still holds the process, such as connections to nodes, has nobody to serve.
process.exit();
