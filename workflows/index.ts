/** Every workflow type, under the name that clients and other workflows start it by. */

export { cluster } from './cluster.ts';
export { job } from './job.ts';
export { provision } from './provision.ts';
export { ray } from './ray.ts';
export { reap } from './reap.ts';
export { retire } from './retire.ts';
export { watch } from './watch.ts';
