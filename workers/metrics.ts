/**
 * The metrics of a worker at one endpoint, `/metrics`, for Prometheus: what the SDK counts, what Styx counts through the SDK's meter, and
 * what clusters there are, which is looked up when somebody asks and at no other time. The SDK serves its own at an inner port
 * of 127.0.0.1, since it can neither say which port it took nor be asked to wait.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Runtime } from '@temporalio/worker';
import { METRICS, type Metric, meterName } from '../model/metrics.ts';
import type { Log } from '../system/log.ts';
import type { ClusterGauges } from './cluster-gauges.ts';
import type { MetricsAddress } from './metrics-setting.ts';
import { installRuntime } from './telemetry.ts';
import { freePort } from './temporal-server.ts';

/** Others may take a free port between the look and the use. */
const TRIES = 10;
const BIND_AGAIN_MS = 5_000;
const SCRAPE_MS = 8_000;
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/;

const HISTOGRAMS = Object.fromEntries(
  Object.values(METRICS).flatMap((metric: Metric) =>
    metric.buckets === undefined ? [] : [[meterName(metric), [...metric.buckets]]],
  ),
);

/** Installs the SDK's runtime, with metrics unless `wanted` is false. Answers where the SDK serves them. */
export async function installTelemetry(log: Log, wanted: boolean): Promise<string | null> {
  if (!wanted) {
    installRuntime(log, null);
    return null;
  }
  for (let tries = 1; ; tries++) {
    const address = `127.0.0.1:${await freePort()}`;
    try {
      installRuntime(log, {
        prometheus: {
          bindAddress: address,
          countersTotalSuffix: true,
          unitSuffix: true,
          useSecondsForDurations: true,
          histogramBucketOverrides: HISTOGRAMS,
        },
      });
      return `http://${address}/metrics`;
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

/** Counters begin at 0 and not when something happens first: a rate over nothing is nothing. */
export function beginCounters(steps: readonly string[]): void {
  for (const metric of Object.values(METRICS) as Metric[]) {
    if (metric.kind !== 'counter') continue;
    const counter = Runtime.instance().metricMeter.createCounter(meterName(metric), '', metric.help);
    let sets: Record<string, string>[] = [{}];
    for (const [label, values] of Object.entries(metric.labels)) {
      const known = values ?? (label === 'step' ? steps : []);
      sets = sets.flatMap((set) => known.map((value) => ({ ...set, [label]: value })));
    }
    for (const set of sets) counter.add(0, set);
  }
}

export interface MetricsEndpoint {
  /** `http://127.0.0.1:40123/metrics`; null when its address is taken: it is tried again and again. */
  readonly url: string | null;
  close(): void;
}

/** Metrics are worth less than work: a worker whose address is taken says so and works. */
export async function serveMetrics(
  address: MetricsAddress,
  inner: string,
  gauges: ClusterGauges,
  log: Log,
): Promise<MetricsEndpoint> {
  const stop = new AbortController();
  const server = createServer((request, response) => void answer(request, response));
  server.requestTimeout = 10_000;
  const isLocal = LOOPBACK.test(address.host) || address.host === '::1';

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const end = (status: number, text: string, type = 'text/plain; charset=utf-8') =>
      response.writeHead(status, { 'content-type': type }).end(text);
    // A web page can have its own name mean this machine.
    if (isLocal && !LOOPBACK.test(request.headers.host ?? '')) return void end(403, 'Not by this name.\n');
    if (request.url?.split('?')[0] !== '/metrics') return void end(404, 'The metrics are at /metrics.\n');
    if (request.method !== 'GET' && request.method !== 'HEAD') return void end(405, 'Metrics are read.\n');
    try {
      await gauges.refresh();
      const told = await fetch(inner, { signal: AbortSignal.timeout(SCRAPE_MS) });
      end(200, await told.text(), 'text/plain; version=0.0.4; charset=utf-8');
    } catch (error) {
      end(503, `the metrics cannot be had: ${(error as Error).message}\n`);
    }
  }

  let url = await listen(server, address, log);
  const again = async () => {
    while (url === null && !stop.signal.aborted) {
      await sleep(BIND_AGAIN_MS, undefined, { signal: stop.signal, ref: false }).catch(() => {});
      if (!stop.signal.aborted) url = await listen(server, address, log);
    }
  };
  void again();
  return {
    get url() {
      return url;
    },
    close() {
      stop.abort();
      server.close();
      server.closeAllConnections();
    },
  };
}

function listen(server: Server, { host, port }: MetricsAddress, log: Log): Promise<string | null> {
  return new Promise((resolve) => {
    const failed = (error: Error) => {
      server.off('listening', listening);
      log.error({ error }, `the metrics cannot be served at ${host}:${port}`);
      resolve(null);
    };
    const listening = () => {
      server.off('error', failed);
      server.unref();
      const at = server.address() as AddressInfo;
      const url = `http://${host.includes(':') ? `[${host}]` : host}:${at.port}/metrics`;
      log.info({ url }, 'serves metrics');
      resolve(url);
    };
    server.once('error', failed).once('listening', listening).listen(port, host);
  });
}
