/** What stores of logs have in common: a log is pieces of a fixed length, named by what lies before them, so that its middle can be left out. */
import type { LogName, LogPosition } from './log-store.ts';

/** Of a log that is too long this part of what may be kept is its beginning; the rest, its end. */
const HEAD = 0.25;
const PIECE = /^(\d+)-(setup|run)\.(\d{15})\.log$/;

export interface Piece {
  readonly rank: number;
  readonly phase: LogName['phase'];
  /** Bytes of the log before it. */
  readonly start: number;
}

/** `0-run.`, with which the names of all of its pieces begin. */
export function piecesOf({ rank, phase }: Pick<LogName, 'rank' | 'phase'>): string {
  return `${rank}-${phase}.`;
}

export function pieceName(name: Pick<LogName, 'rank' | 'phase'>, start: number): string {
  return `${piecesOf(name)}${String(start).padStart(15, '0')}.log`;
}

/** Where masked and unmasked met; see `LogStore.mark`. */
export function markName(name: Pick<LogName, 'rank' | 'phase'>): string {
  return `${piecesOf(name)}at`;
}

/** Null: the name is of something else. */
export function parsePiece(name: string): Piece | null {
  const [, rank, phase, start] = PIECE.exec(name) ?? [];
  return rank === undefined ? null : { rank: Number(rank), phase: phase as LogName['phase'], start: Number(start) };
}

/** Of which logs these are, by rank, setup first. */
export function logsAmong(folder: string, pieces: Iterable<Piece>): LogName[] {
  const found = new Map<string, LogName>();
  for (const { rank, phase } of pieces) found.set(`${rank}-${phase}`, { folder, rank, phase });
  const order = ({ rank, phase }: LogName) => rank * 2 + (phase === 'setup' ? 0 : 1);
  return [...found.values()].toSorted((a, b) => order(a) - order(b));
}

/** So many pieces may be kept of a log; at least two are. */
export function mostPieces(maxBytes: number, pieceBytes: number): number {
  return Math.max(2, Math.floor(maxBytes / pieceBytes));
}

/** Those that have to go. `starts`: of all that there are, in order. */
export function surplus(starts: readonly number[], most: number): number[] {
  const head = Math.max(1, Math.floor(most * HEAD));
  return starts.slice(head, starts.length - (most - head));
}

/** The mark in a file; null: it holds none. */
export function readMark(value: unknown): LogPosition | null {
  if (typeof value !== 'object' || value === null || !('raw' in value) || !('kept' in value)) return null;
  const { raw, kept } = value;
  return Number.isInteger(raw) && Number.isInteger(kept) ? { raw: raw as number, kept: kept as number } : null;
}

/** Where a log goes on that ends at `end`. Without a mark, or one that speaks of more than there is: from the beginning. */
export function positionAt(end: number, masked: boolean, mark: LogPosition | null): LogPosition {
  if (!masked) return { raw: end, kept: end };
  return mark !== null && mark.kept <= end ? mark : { raw: 0, kept: 0 };
}
