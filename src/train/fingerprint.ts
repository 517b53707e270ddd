import { createHash } from "node:crypto";
import type { StateDict } from "../nn/state_dict.js";

/** SHA-256 over a state dict's keys, shapes and values, in hexadecimal: equal only for equal states. */
export function fingerprint(state: StateDict): string {
  const hash = createHash("sha256");
  for (const [key, { dtype, shape, data }] of Object.entries(state)) {
    hash.update(JSON.stringify([key, dtype, shape]));
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}
