// Prints the community's age test vectors as JSON: name → base64.
import * as vectors from "../../tools/node_modules/cctv-age/index.js";

const entries = Object.entries(vectors).map(([name, bytes]) => [name, Buffer.from(bytes).toString("base64")]);
process.stdout.write(JSON.stringify(Object.fromEntries(entries)));
