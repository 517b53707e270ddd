import { homedir } from "node:os";
import { posix, win32 } from "node:path";

/**
 * Where data sets that were downloaded lie: `$DISTILLERY_CACHE`, else the system's place for what can be fetched again
 * (`$XDG_CACHE_HOME/distillery` or `~/.cache/distillery`, `~/Library/Caches/distillery` on macOS,
 * `%LOCALAPPDATA%\distillery\Cache` on Windows).
 */
export function cacheFolder(env = process.env, platform: string = process.platform, home = homedir()): string {
  if (env.DISTILLERY_CACHE) return env.DISTILLERY_CACHE;
  if (platform === "win32") {
    return win32.join(env.LOCALAPPDATA || win32.join(home, "AppData", "Local"), "distillery", "Cache");
  }
  if (platform === "darwin") return posix.join(home, "Library", "Caches", "distillery");
  // Its specification says that a relative path is to be ignored.
  const { XDG_CACHE_HOME: own = "" } = env;
  return posix.join(posix.isAbsolute(own) ? own : posix.join(home, ".cache"), "distillery");
}
