/** The keys of the configuration for documents: made from the schemas that read them. */
import { docsOf, type FieldDoc, jsonOf } from '../spec/json-schema.ts';
import { configFile } from './fields.ts';
import { CARRIED_OUT, isCarriedOut } from './keys.ts';

/** A key as documents show it. */
export interface KeyDoc extends FieldDoc {
  readonly carriedOut: 'yes' | 'in part' | 'not yet';
}

/** Every key that has words, in order; those of a section follow it. */
export function keyDocs(): KeyDoc[] {
  return docsOf(jsonOf(configFile))
    .filter(({ path }) => !path.includes('.resources.') && !path.includes('.autostop.'))
    .map((doc) => ({ ...doc, carriedOut: stateOf(doc.path) }));
}

function stateOf(path: string): KeyDoc['carriedOut'] {
  if (isCarriedOut(path.split('.'))) return 'yes';
  return Object.keys(CARRIED_OUT).some((key) => key.startsWith(`${path}.`)) ? 'in part' : 'not yet';
}
