/** Names as people type them: globs, and what they may have meant. */
import { editDistance } from '../model/spelling.ts';

const GLOB = /[*?[\]]/;

export function isGlob(text: string): boolean {
  return GLOB.test(text);
}

/** Does `name` match a shell glob (`*`, `?`, `[abc]`, `[a-z]`, `[!a]`)? An unclosed `[` stands for itself. */
export function matchesGlob(glob: string, name: string): boolean {
  return new RegExp(`^${globSource(glob)}$`, 's').test(name);
}

function globSource(glob: string): string {
  let source = '';
  for (let i = 0; i < glob.length; i++) {
    const char = glob.charAt(i);
    if (char === '*') source += '.*';
    else if (char === '?') source += '.';
    else if (char === '[') {
      const end = glob.indexOf(']', i + 2);
      if (end < 0) source += '\\[';
      else {
        const inside = glob.slice(i + 1, end);
        const negated = inside.startsWith('!') || inside.startsWith('^');
        const set = (negated ? inside.slice(1) : inside).replace(/[\\\]^]/g, '\\$&');
        // A range such as [z-a] matches nothing in a shell; in a RegExp it would not compile.
        source += set === '' || hasBackwardRange(set) ? '(?!)' : `[${negated ? '^' : ''}${set}]`;
        i = end;
      }
    } else source += char.replace(/[\\^$.|+(){}\]/-]/g, '\\$&');
  }
  return source;
}

function hasBackwardRange(set: string): boolean {
  try {
    new RegExp(`[${set}]`);
    return false;
  } catch {
    return true;
  }
}

/** Up to three of `names` that `wanted` may have meant, nearest first. */
export function nearest(wanted: string, names: readonly string[]): string[] {
  const limit = Math.max(2, Math.floor(wanted.length / 3));
  return names
    .map((name) => ({
      name,
      distance: name.startsWith(wanted) ? 0 : editDistance(wanted.toLowerCase(), name.toLowerCase()),
    }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || a.name.localeCompare(b.name))
    .slice(0, 3)
    .map(({ name }) => name);
}

/** `Did you mean 'a' or 'b'?`; null when nothing is near. */
export function didYouMean(wanted: string, names: readonly string[]): string | null {
  const near = nearest(wanted, names);
  return near.length === 0 ? null : `Did you mean ${near.map((name) => `'${name}'`).join(' or ')}?`;
}
