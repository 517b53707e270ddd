// Runs in each test file, before it.
import { afterAll } from "vitest";
import { endFile } from "./after_file.js";

afterAll(endFile);
