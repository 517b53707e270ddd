import { createHash } from "node:crypto";
import type { StateDict } from "../nn/state_dict.js";
import { bytesOf } from "./stored_types.js";

/** SHA-256 over a state dict's keys, shapes and values, in hexadecimal: equal only for equal states. */
export function fingerprint(state: StateDict): string {
  const hash = createHash("sha256");
  for (const [key, tensor] of Object.entries(state)) {
    hash.update(JSON.stringify([key, tensor.dtype, tensor.shape])).update(bytesOf(tensor));
  }
  return hash.digest("hex");
}
