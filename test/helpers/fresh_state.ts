// Runs before each test file: several share a process, and each must find it as a new one would be.
import { vi } from "vitest";
import { manualSeed, setNumThreads } from "../../src/index.js";
import { THREADS } from "./defaults.js";
import "./equal_bytes.js";

/** The seed that PyTorch starts from without `manual_seed`. */
const DEFAULT_SEED = 67280421310721n;

vi.restoreAllMocks();
vi.unstubAllEnvs();
setNumThreads(THREADS);
manualSeed(DEFAULT_SEED);
