// What a shop's server does with the types that `openapi-typescript` generates: tell a price, ask for a list, read an error.
//   npx openapi-typescript http://localhost:8000/openapi.json --default-non-nullable false -o shop.ts
//   npx tsc && node build/example.js http://localhost:8000 rk_...
import createClient from "openapi-fetch";
import type { components, paths } from "./shop.js";

declare const process: { argv: string[] };
const [baseUrl, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { "X-API-Key": key } });

const stored = await client.POST("/v1/items", { body: { items: [{ item: "sku-07", price: 2.95 }] } });
if (!stored.data) throw new Error(stored.error.detail);

const body: components["schemas"]["RecommendBody"] = { user: "user-03", k: 5, rules: { in_stock: true } };
const { data, error } = await client.POST("/v1/recommend", { body });
if (!data) throw new Error(error.detail);
for (const item of data.items) console.log(item.rank, item.item_id, item.probability, item.reason);

const unknown = await client.POST("/v1/similar", { body: { item: "no-such-item" } });
if (!unknown.error) throw new Error("an unknown item was found");
console.log(unknown.error.status, unknown.error.detail);
