/**
 * git's own pattern matcher (wildmatch.c, with its quirks), on strings that hold one byte a character. With `pathname` a `*` or `?`
 * does not match a slash, and `**` between slashes does.
 */
const ABORT_ALL = -1;
const ABORT_TO_STARSTAR = -2;
const MATCH = 0;
const NO_MATCH = 1;

const STAR = 0x2a;
const SLASH = 0x2f;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE = 0x5d;
const CARET = 0x5e;
const BANG = 0x21;
const DASH = 0x2d;
const COLON = 0x3a;

const CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /[A-Za-z0-9]/,
  alpha: /[A-Za-z]/,
  blank: /[ \t]/,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what the class is
  cntrl: /[\x00-\x1f\x7f]/,
  digit: /[0-9]/,
  graph: /[\x21-\x7e]/,
  lower: /[a-z]/,
  print: /[\x20-\x7e]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[ \t\n\v\f\r]/,
  upper: /[A-Z]/,
  xdigit: /[A-Fa-f0-9]/,
};

export function wildmatch(pattern: string, text: string, pathname: boolean): boolean {
  return match(pattern, 0, text, 0, pathname) === MATCH;
}

/** Has a special meaning to `wildmatch`. */
export function isGlobSpecial(code: number): boolean {
  return code === STAR || code === QUESTION || code === OPEN || code === BACKSLASH;
}

/** 0 at the end, as C has it. */
function at(text: string, index: number): number {
  return index < text.length ? text.charCodeAt(index) : 0;
}

function match(pattern: string, from: number, text: string, start: number, pathname: boolean): number {
  let p = from;
  let t = start;
  for (let p_ch = at(pattern, p); p_ch !== 0; t++, p++, p_ch = at(pattern, p)) {
    const t_ch = at(text, t);
    if (t_ch === 0 && p_ch !== STAR) return ABORT_ALL;
    if (p_ch === STAR) {
      const answer = matchStar(pattern, from, p, text, t, pathname);
      if (typeof answer === 'number') return answer;
      p = answer.p;
      t = answer.t;
    } else if (p_ch === QUESTION) {
      if (pathname && t_ch === SLASH) return NO_MATCH;
    } else if (p_ch === OPEN) {
      const set = matchSet(pattern, p, t_ch);
      if (set === null) return ABORT_ALL;
      if (!set.matched || (pathname && t_ch === SLASH)) return NO_MATCH;
      p = set.p;
    } else {
      if (p_ch === BACKSLASH) p++;
      if (at(pattern, p) !== t_ch) return NO_MATCH;
    }
  }
  return t < text.length ? NO_MATCH : MATCH;
}

/** A verdict, or where to go on after a `*` before a slash. */
function matchStar(
  pattern: string,
  from: number,
  star: number,
  text: string,
  start: number,
  pathname: boolean,
): number | { p: number; t: number } {
  let p = star + 1;
  let t = start;
  let slashes = !pathname;
  if (at(pattern, p) === STAR) {
    while (at(pattern, p) === STAR) p++;
    const after = at(pattern, p);
    const alone =
      (star === from || at(pattern, star - 1) === SLASH) &&
      (after === 0 || after === SLASH || (after === BACKSLASH && at(pattern, p + 1) === SLASH));
    if (pathname && alone) {
      if (after === SLASH && match(pattern, p + 1, text, t, pathname) === MATCH) return MATCH;
      slashes = true;
    }
  }
  const next = at(pattern, p);
  if (next === 0) return slashes || !text.includes('/', t) ? MATCH : ABORT_TO_STARSTAR;
  if (!slashes && next === SLASH) {
    const slash = text.indexOf('/', t);
    return slash < 0 ? ABORT_ALL : { p, t: slash };
  }
  for (; t < text.length; t++) {
    if (!isGlobSpecial(next)) {
      while (t < text.length && (slashes || at(text, t) !== SLASH) && at(text, t) !== next) t++;
      if (at(text, t) !== next) return slashes ? ABORT_ALL : ABORT_TO_STARSTAR;
    }
    const matched = match(pattern, p, text, t, pathname);
    if (matched !== NO_MATCH) {
      if (!slashes || matched !== ABORT_TO_STARSTAR) return matched;
    } else if (!slashes && at(text, t) === SLASH) return ABORT_TO_STARSTAR;
  }
  return ABORT_ALL;
}

/** `[…]` that begins at `open`: whether it holds the character, and where it ends. Null when it does not end. */
function matchSet(pattern: string, open: number, t_ch: number): { matched: boolean; p: number } | null {
  let p = open + 1;
  const negated = at(pattern, p) === BANG || at(pattern, p) === CARET;
  if (negated) p++;
  let matched = false;
  let previous = 0;
  for (let p_ch = at(pattern, p); ; p_ch = at(pattern, p)) {
    if (p_ch === 0) return null;
    if (p_ch === BACKSLASH) {
      p_ch = at(pattern, ++p);
      if (p_ch === 0) return null;
      if (t_ch === p_ch) matched = true;
    } else if (p_ch === DASH && previous !== 0 && at(pattern, p + 1) !== 0 && at(pattern, p + 1) !== CLOSE) {
      p_ch = at(pattern, ++p);
      if (p_ch === BACKSLASH) {
        p_ch = at(pattern, ++p);
        if (p_ch === 0) return null;
      }
      if (t_ch <= p_ch && t_ch >= previous) matched = true;
      p_ch = 0;
    } else if (p_ch === OPEN && at(pattern, p + 1) === COLON) {
      const begin = p + 2;
      const end = pattern.indexOf(']', begin);
      if (end < 0) return null;
      if (end - begin < 1 || at(pattern, end - 1) !== COLON) {
        if (t_ch === OPEN) matched = true;
      } else {
        const named = CLASSES[pattern.slice(begin, end - 1)];
        if (named === undefined) return null;
        if (named.test(String.fromCharCode(t_ch))) matched = true;
        p = end;
        p_ch = 0;
      }
    } else if (t_ch === p_ch) matched = true;
    previous = p_ch;
    p++;
    if (at(pattern, p) === CLOSE) return { matched: matched !== negated, p };
  }
}
