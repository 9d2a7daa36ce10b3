// An age tool that is not ours.
//   keygen                          prints [{identity, recipient}] as JSON: a hybrid pair, then an X25519 one
//   seal IN OUT RECIPIENT…          armor IN OUT RECIPIENT…
//   open IN OUT IDENTITY…           open-with-passphrase IN OUT PASSPHRASE
//   seal-with-passphrase IN OUT PASSPHRASE
import { readFileSync, writeFileSync } from "node:fs";
import * as age from "../../tools/node_modules/age-encryption/dist/index.js";

async function keygen() {
  const pairs = [];
  for (const make of [age.generateHybridIdentity, age.generateX25519Identity]) {
    const identity = await make();
    pairs.push({ identity, recipient: await age.identityToRecipient(identity) });
  }
  process.stdout.write(JSON.stringify(pairs));
}

async function seal(source, recipients, passphrase) {
  const encrypter = new age.Encrypter();
  recipients.forEach((recipient) => encrypter.addRecipient(recipient));
  if (passphrase) {
    encrypter.setScryptWorkFactor(10);
    encrypter.setPassphrase(passphrase);
  }
  return encrypter.encrypt(readFileSync(source));
}

async function open(source, identities, passphrase) {
  const decrypter = new age.Decrypter();
  identities.forEach((identity) => decrypter.addIdentity(identity));
  if (passphrase) decrypter.addPassphrase(passphrase);
  return decrypter.decrypt(readFileSync(source));
}

const [command, source, target, ...keys] = process.argv.slice(2);
const commands = {
  keygen,
  seal: async () => writeFileSync(target, await seal(source, keys)),
  armor: async () => writeFileSync(target, age.armor.encode(await seal(source, keys))),
  open: async () => writeFileSync(target, await open(source, keys)),
  "seal-with-passphrase": async () => writeFileSync(target, await seal(source, [], keys[0])),
  "open-with-passphrase": async () => writeFileSync(target, await open(source, [], keys[0])),
};
await commands[command]();
