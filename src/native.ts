import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { DistilleryError, fromNative } from "./errors.js";
import { MANIFEST, ROOT } from "./package.js";

/**
 * The binding's functions. Names that only the generated loader has, and classes, which functions return, are left out.
 */
type Binding = Omit<typeof import("../index.js"), "__napiBindingTarget" | "FileLock" | "Heartbeat" | "ExternalObject">;
type Kernel = (...args: unknown[]) => unknown;

const require = createRequire(import.meta.url);
const { name, version, napi } = MANIFEST;

/** The kernels, each throwing {@link DistilleryError}. Only this file loads the binding. */
export const native = Object.fromEntries(
  Object.entries(loadBinding()).map(([key, kernel]) => [key, guard(kernel as Kernel)]),
) as Binding;

/** The file of the binding that was loaded. */
export function bindingFile(): string {
  const path = fileURLToPath(new URL(`${napi.binaryName}.${platformName()}.node`, ROOT));
  return existsSync(path) ? path : require.resolve(`${name}-${platformName()}`);
}

function guard(kernel: Kernel): Kernel {
  return (...args) => {
    try {
      return kernel(...args);
    } catch (error) {
      throw fromNative(error);
    }
  };
}

/**
 * The binary beside package.json, where a build puts it; otherwise the one in the platform's own package of this
 * version.
 * The first one that exists has to load: an error is no reason to try the next.
 */
function loadBinding(): Binding {
  const platform = platformName();
  const file = `${napi.binaryName}.${platform}.node`;
  const path = fileURLToPath(new URL(file, ROOT));
  if (existsSync(path)) return open(path, `${file} beside package.json`);

  const absent = `${file} beside package.json: not there`;
  const carrier = `${name}-${platform}`;
  const installed = versionOf(carrier, absent);
  if (installed !== version) {
    const wrong = `${carrier}: its version is ${installed}, expected ${version}`;
    throw failure([absent, wrong], `Install both at one version: npm install ${name}@${version}`);
  }
  return open(carrier, carrier, absent);
}

function open(id: string, label: string, ...before: string[]): Binding {
  try {
    return require(id);
  } catch (cause) {
    throw failure([...before, `${label}: ${firstLine(cause)}`], "It is damaged or made for another system", cause);
  }
}

function versionOf(carrier: string, ...before: string[]): string {
  try {
    return (require(`${carrier}/package.json`) as { version: string }).version;
  } catch (cause) {
    const absent = (cause as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND";
    const advice = `Binaries come prebuilt for ${napi.targets.join(", ")}: if this is one, install again without leaving out
optional dependencies; elsewhere, and in a checkout, \`npm run build\` makes one (it needs Rust)`;
    throw failure([...before, `${carrier}: ${absent ? "not installed" : firstLine(cause)}`], advice, cause);
  }
}

function failure(tried: readonly string[], advice: string, cause?: unknown): DistilleryError {
  const title = `No native binding for ${platformName()}, Node ${process.versions.node}. Tried:`;
  return new DistilleryError("NATIVE", `${title}\n  ${tried.join("\n  ")}\n${advice}`, { cause });
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n", 1)[0] ?? "";
}

/** The platform as napi-rs names it: `linux-x64-gnu`, `darwin-arm64`, `win32-x64-msvc`. */
function platformName(): string {
  const { platform, arch } = process;
  if (platform === "linux") return `${platform}-${arch}-${libc()}`;
  return platform === "win32" ? `${platform}-${arch}-msvc` : `${platform}-${arch}`;
}

function libc(): "gnu" | "musl" {
  try {
    return readFileSync("/usr/bin/ldd", "latin1").includes("musl") ? "musl" : "gnu";
  } catch {
    // Node's report knows it too, in 10 ms; without this setting it would query the name server.
    Object.assign(process.report, { excludeNetwork: true });
    const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
    return header.glibcVersionRuntime ? "gnu" : "musl";
  }
}
