#!/usr/bin/env node
// Loads the rest, so that a binding that can't be loaded is told as any other failure.
import { reportFailure } from "./errors.js";

try {
  await import("./program.js");
} catch (error) {
  process.exitCode = reportFailure(error, process.argv.includes("--debug"));
}
