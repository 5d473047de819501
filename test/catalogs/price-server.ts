/** Servers that speak the price APIs of clouds, on loopback; what they say and how they fail is the test's. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CatalogRow } from '../../catalogs/catalog.ts';
import { loadCatalog, shippedFile } from '../../catalogs/load.ts';

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON when it is no text. */
  readonly body?: unknown;
  /** Announce all of the body and break the connection off after so many bytes. */
  readonly cutAfter?: number;
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** Milliseconds. */
  readonly at: number;
}

export class PriceServer {
  readonly asked: Asked[] = [];
  url = '';
  /** undefined: no answer at all. */
  reply: (asked: Asked, base: string) => Reply | undefined | Promise<Reply | undefined> = () => ({ status: 404 });
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  static async start(): Promise<PriceServer> {
    const server = new PriceServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    server.url = `http://127.0.0.1:${(server.#server.address() as AddressInfo).port}`;
    return server;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { method = '', url: path = '', headers } = request;
    const asked = { method, path, headers, body: Buffer.concat(parts).toString(), at: Date.now() };
    this.asked.push(asked);
    const reply = await this.reply(asked, this.url);
    if (reply === undefined) return;
    const { status = 200, headers: extra = {}, body = '', cutAfter } = reply;
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    response.writeHead(status, { ...(status === 304 ? {} : { 'content-length': String(bytes.length) }), ...extra });
    if (cutAfter === undefined) response.end(status === 304 ? undefined : bytes);
    else response.write(bytes.subarray(0, cutAfter), () => request.socket.destroy());
  }
}

/** Rows of the catalogue that Styx brings. */
export async function shippedRows(cloud: string): Promise<CatalogRow[]> {
  const file = shippedFile(cloud);
  if (file === null) throw new Error(`no catalogue of ${cloud}`);
  return [...(await loadCatalog(file)).catalog.rows()];
}

type AzureItem = Record<string, string | number | boolean>;

/** As the retail prices API lists an offer: one item on demand, one for spot machines. */
export function azureItems({ instanceType, region, price, spotPrice }: CatalogRow): AzureItem[] {
  const name = instanceType.replace(/^Standard_/, '').replaceAll('_', ' ');
  const item = (skuName: string, retailPrice: number): AzureItem => ({
    currencyCode: 'USD',
    tierMinimumUnits: 0,
    retailPrice,
    unitPrice: retailPrice,
    armRegionName: region,
    location: region,
    effectiveStartDate: '2024-01-01T00:00:00Z',
    meterId: '000a794b-bdb0-58be-a0cd-0c3a0f222923',
    meterName: name,
    productName: 'Virtual Machines Series',
    skuName,
    serviceName: 'Virtual Machines',
    serviceFamily: 'Compute',
    unitOfMeasure: '1 Hour',
    type: 'Consumption',
    isPrimaryMeterRegion: true,
    armSkuName: instanceType,
  });
  return [
    ...(price === null ? [] : [item(name, price)]),
    ...(spotPrice === null ? [] : [item(`${name} Spot`, spotPrice)]),
  ];
}

/** The retail prices API over these items, a thousand a page as it has them; `page` counts from 0. */
export function azureReply(items: readonly AzureItem[], { path }: Asked, base: string): Reply & { page: number } {
  const skip = Number(new URL(path, base).searchParams.get('$skip') ?? 0);
  const size = 1_000;
  const more = skip + size < items.length;
  const body = {
    BillingCurrency: 'USD',
    CustomerEntityId: 'Default',
    CustomerEntityType: 'Retail',
    Items: items.slice(skip, skip + size),
    NextPageLink: more ? `${base}/api/retail/prices?$filter=serviceName&$skip=${skip + size}` : null,
    Count: Math.min(size, items.length - skip),
  };
  return { body, page: skip / size };
}
