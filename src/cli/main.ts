#!/usr/bin/env node
// The rest is imported late, so that a binding that can't be loaded is reported as any other failure.
import { reportFailure } from "./error_boundary.js";

try {
  await import("./program.js");
} catch (error) {
  reportFailure(error, process.argv.includes("--debug"));
}
