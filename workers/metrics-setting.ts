/** STYX_METRICS: whether and where the worker tells its metrics. Light: commands check it before they start a worker. */
import { StyxError } from '../model/errors.ts';

export interface MetricsAddress {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** Null: nowhere. Default: a free port of 127.0.0.1. @throws invalid */
export function metricsAddress({ STYX_METRICS: text }: NodeJS.ProcessEnv): MetricsAddress | null {
  if (!text) return { host: '127.0.0.1', port: 0 };
  if (text === 'off') return null;
  const [, bracketed, plain, port] = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535) {
    throw new StyxError('invalid', `STYX_METRICS is '${text}'; it can be off or an address like 127.0.0.1:9464`, {
      hint: 'Unset it to have the metrics at a free port of 127.0.0.1, which `styx server status` names.',
    });
  }
  return { host, port: Number(port) };
}
