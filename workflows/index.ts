/** Every workflow type, under the name that clients and other workflows start it by. */

export { catalogUpdate } from './catalog-update.ts';
export { cluster } from './cluster.ts';
export { job } from './job.ts';
export { managedJob } from './managed-job.ts';
export { officeHours } from './office-hours.ts';
export { pipeline } from './pipeline.ts';
export { pool } from './pool.ts';
export { ports } from './ports.ts';
export { provision } from './provision.ts';
export { queue } from './queue.ts';
export { ray } from './ray.ts';
export { reap } from './reap.ts';
export { retire } from './retire.ts';
export { sweep } from './sweep.ts';
export { watch } from './watch.ts';
