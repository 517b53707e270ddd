// Loaded before a program by `node --import`: tells the largest resident memory on file descriptor 3 when it ends.
import { writeSync } from "node:fs";
import { peakRssBytes } from "./peak.js";

process.once("exit", () => writeSync(3, JSON.stringify({ peakRssBytes: peakRssBytes() })));
