import { createHash } from "node:crypto";
import { fingerprint } from "../checkpoint/index.js";
import { encodingOf } from "../models/fit_network.js";
import type { Module } from "../nn/module.js";

/**
 * SHA-256 that distinguishes a network, as `fitNetwork` returns it, from other teachers: over its weights and, if it
 * does not use the data's ids, its text encoding.
 */
export function teacherFingerprint(fitted: Module): string {
  const { teacherHash, teacherEncodingHash } = teacherHashes(fitted);
  if (teacherEncodingHash === undefined) return teacherHash;
  return createHash("sha256").update(`${teacherHash} ${teacherEncodingHash}`).digest("hex");
}

/** The two parts of {@link teacherFingerprint}, by which a resumed run says what has changed. */
export function teacherHashes(fitted: Module): { teacherHash: string; teacherEncodingHash?: string } {
  const teacherHash = fingerprint(fitted.stateDict());
  const encoding = encodingOf(fitted);
  if (encoding === null) return { teacherHash };
  // A file may have the keys in another order.
  const entries = Object.entries(encoding).sort(([a], [b]) => (a < b ? -1 : 1));
  return { teacherHash, teacherEncodingHash: createHash("sha256").update(JSON.stringify(entries)).digest("hex") };
}
