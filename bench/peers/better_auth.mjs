// better-auth with its plugins for phone numbers, bearer tokens and JWTs, on the SQLite of Node.js, for `bench peers`.
//
// Usage: node better_auth.mjs FOLDER MODULES. It keeps its database in FOLDER, takes better-auth from MODULES (a node_modules), takes
// a free port of 127.0.0.1, and prints its address when it is ready. GET /code/PHONE returns the last code that would have been sent.

import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";

const [folder, modules] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), "_"));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { betterAuth } = await load("better-auth");
const { getMigrations } = await load("better-auth/db/migration");
const { toNodeHandler } = await load("better-auth/node");
const { bearer, jwt, phoneNumber } = await load("better-auth/plugins");

const codes = new Map();
const keep = ({ phoneNumber, code }) => void codes.set(phoneNumber, code);
let handle;
const server = createServer((request, response) => {
    if (request.url.startsWith("/code/")) {
        response.end(codes.get(decodeURIComponent(request.url.slice("/code/".length))) ?? "");
    } else {
        handle(request, response);
    }
});
server.listen(0, "127.0.0.1", async () => {
    const url = `http://127.0.0.1:${server.address().port}`;
    const options = {
        baseURL: url,
        secret: randomBytes(32).toString("base64"),
        database: new DatabaseSync(join(folder, "better-auth.sqlite")),
        logger: { disabled: true },
        telemetry: { enabled: false },
        // Ours has no limit that the measurement reaches, either.
        rateLimit: { enabled: false },
        emailAndPassword: { enabled: true },
        plugins: [
            phoneNumber({
                sendOTP: keep,
                sendPasswordResetOTP: keep,
                signUpOnVerification: {
                    getTempEmail: (phone) => `${phone.slice(1)}@phones.example`,
                    getTempName: (phone) => phone,
                },
            }),
            bearer(),
            jwt(),
        ],
    };
    await (await getMigrations(options)).runMigrations();
    handle = toNodeHandler(betterAuth(options));
    console.log(`The peer is ready on ${url}`);
});
