export const NOT_YET = 'not supported yet by this version of Styx';

/** A field of a task that stands in the way of carrying it out. */
export interface Obstacle {
  /** `['resources', 'disk_size']`. */
  readonly path: readonly string[];
  readonly message: string;
}
