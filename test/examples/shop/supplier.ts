import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A supplier's web server: a catalog whose prices move, and which may be slow or down. */
export interface Supplier extends AsyncDisposable {
  /** `http://127.0.0.1:port/products`. */
  readonly url: string;
  /** How it answers from now on. */
  behave(how: Behaviour): void;
  /** Changes the price of some products. */
  movePrices(): void;
}

/** How a supplier answers. */
export interface Behaviour {
  /** Waits this long before each answer, in ms. Default 0. */
  readonly delayMs?: number;
  /** Answers 503. Default false. */
  readonly isDown?: boolean;
}

const PRODUCTS = 40;

/** Starts a supplier on a free port of the loopback interface. */
export async function startSupplier(): Promise<Supplier> {
  let behaviour: Behaviour = {};
  let moves = 0;
  const products = Array.from({ length: PRODUCTS }, (_, index) => ({
    sku: `SU-${10_000 + index}`,
    title: `Offer ${index + 1}`,
    price_cents: 500 + index * 25,
    stock: 10 + (index % 7),
  }));
  const server = createServer((request, response) => {
    const answer = () => {
      if (behaviour.isDown === true) return void response.writeHead(503).end("closed for maintenance");
      if (request.url !== "/products") return void response.writeHead(404).end();
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ products }));
    };
    setTimeout(answer, behaviour.delayMs ?? 0);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/products`,
    behave(how) {
      behaviour = how;
    },
    movePrices() {
      moves += 1;
      for (const [index, product] of products.entries())
        if ((index + moves) % 5 === 0) product.price_cents += 10 * moves;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
