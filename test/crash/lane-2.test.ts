import { ALL_CASES, crashLane } from './matrix.ts';

crashLane(ALL_CASES, 1, 3);
