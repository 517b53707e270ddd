import { createHash } from "node:crypto";
import { fingerprint } from "../checkpoint/index.js";
import { encodingOf } from "../models/fit_network.js";
import type { Module } from "../nn/module.js";

/** SHA-256 that tells a network, as `fitNetwork` gives it, from other teachers: of its weights, and of how it reads texts if not by the ids of the data. */
export function teacherFingerprint(fitted: Module): string {
  const weights = fingerprint(fitted.stateDict());
  const encoding = encodingOf(fitted);
  if (encoding === null) return weights;
  // A file may have the keys in another order.
  const entries = Object.entries(encoding).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([weights, entries]))
    .digest("hex");
}
