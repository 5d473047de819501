/** What those who submit and tidy up need of this room. */
export { DirectoryStore } from './directory-store.ts';
export { cloneAt } from './git-clone.ts';
export { takeSnapshot } from './snapshot.ts';
export { pruneStatCaches } from './stat-cache.ts';
export { storeRoot } from './store-paths.ts';
