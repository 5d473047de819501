import { ALL_CASES, crashLane } from './matrix.ts';

crashLane(ALL_CASES, 0, 3);
