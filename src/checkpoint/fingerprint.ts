import { createHash } from "node:crypto";
import type { StateDict } from "../nn/state_dict.js";

/** SHA-256 over a state dict's keys, shapes and values, in hexadecimal: equal only for equal states. */
export function fingerprint(state: StateDict): string {
  const hash = createHash("sha256");
  for (const [key, tensor] of Object.entries(state)) {
    hash.update(JSON.stringify([key, tensor.dtype, tensor.shape])).update(tensor.data);
  }
  return hash.digest("hex");
}
