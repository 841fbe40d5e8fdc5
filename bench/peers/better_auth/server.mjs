// A peer: better-auth's API key plugin on Node's own HTTP server, as its documentation sets it up: keys, their limits
// and their counts in SQLite by better-sqlite3.

import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import Database from "better-sqlite3";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";

const folder = process.env.BENCH_FOLDER;
const answer = JSON.parse(readFileSync(`${folder}/../answer.json`, "utf8"));

const database = new Database(`${folder}/peer.sqlite3`);
database.pragma("journal_mode = WAL"); // better-sqlite3's advice on performance

const auth = betterAuth({
  baseURL: "http://127.0.0.1",
  secret: "for the benchmark, and long enough",
  database,
  emailAndPassword: { enabled: true },
  plugins: [apiKey({ rateLimit: { enabled: true, timeWindow: 60_000, maxRequests: Number(process.env.BENCH_QUOTA) } })],
});

async function makeKeys() {
  const { runMigrations } = await getMigrations(auth.options);
  await runMigrations();
  const body = { email: "ada@example.com", name: "Ada", password: "correct horse battery" };
  const { user } = await auth.api.signUpEmail({ body });
  const headers = [];
  for (let number = 0; number <= Number(process.env.BENCH_KEYS); number++) {
    const { key } = await auth.api.createApiKey({ body: { name: `key ${number}`, userId: user.id } });
    headers.push(`x-api-key: ${key}`);
  }
  headers.push("x-api-key: unknown");
  writeFileSync(`${folder}/headers.json`, JSON.stringify(headers));
}

async function handle(request, response) {
  const { valid, error } = await auth.api.verifyApiKey({ body: { key: request.headers["x-api-key"] ?? "" } });
  const status = valid ? 200 : error.code === "RATE_LIMITED" ? 429 : 401;
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(valid ? answer : error));
}

if (!existsSync(`${folder}/headers.json`)) await makeKeys();
createServer(handle).listen(Number(process.env.BENCH_PORT), "127.0.0.1");
