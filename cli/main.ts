/** Where `bin/styx` begins: compiled code is kept, in a directory of the user's own, so that the next start is faster. */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { styxCache } from '../system/home.ts';

enableCompileCache(join(styxCache(), 'compiled'));
await import('./entry.ts');
