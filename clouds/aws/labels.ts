/** Labels of tasks as tags: what EC2 takes, and never in place of what Styx knows its own things by. */
import { StyxError } from '../../model/errors.ts';

/** EC2 takes 50 tags, of which Styx needs some. */
const MOST = 40;
const NAME_CHARS = 128;
const VALUE_CHARS = 256;
/** docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions */
const ALLOWED = /^[\p{L}\p{N}\p{Zs}_.:/=+\-@]*$/u;
const CHARACTERS = 'letters, numbers, spaces and _ . : / = + - @';

/** @throws invalid with the label and what is wrong with it */
export function mustBeTags(labels: Readonly<Record<string, string>>): void {
  const wrong = (name: string, what: string) =>
    new StyxError('invalid', `label ${JSON.stringify(name.slice(0, 140))} cannot be a tag of AWS: ${what}`);
  const names = Object.keys(labels);
  if (names.length > MOST) {
    throw new StyxError('invalid', `${names.length} labels were given, and a machine of AWS has ${MOST} at most`);
  }
  for (const [name, value] of Object.entries(labels)) {
    if (name === '' || name.length > NAME_CHARS) throw wrong(name, `a name has 1 to ${NAME_CHARS} characters`);
    if (/^aws:/i.test(name)) throw wrong(name, "names that begin with aws: are AWS's own");
    if (/^styx-/i.test(name)) throw wrong(name, "names that begin with styx- are Styx's own");
    if (!ALLOWED.test(name)) throw wrong(name, `a name has ${CHARACTERS}`);
    if (value.length > VALUE_CHARS) throw wrong(name, `a value has at most ${VALUE_CHARS} characters`);
    if (!ALLOWED.test(value)) throw wrong(name, `a value has ${CHARACTERS}`);
  }
}
